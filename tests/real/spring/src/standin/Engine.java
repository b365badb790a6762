package standin;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.springframework.stereotype.Component;

/** What is deployed, what runs, which jobs wait. Every process has one service task. */
@Component
class Engine {
  private static final Pattern PROCESS = Pattern.compile("<(?:\\w+:)?process\\b[^>]*?\\bid=\"([^\"]+)\"");
  private static final Pattern JOB_TYPE = Pattern.compile("<zeebe:taskDefinition\\b[^>]*?\\btype=\"([^\"]+)\"");

  record Process(long key, String id, String jobType, int version) {}

  record Instance(long key, Process process, Map<String, Object> variables, String[] state) {}

  record Job(long key, Instance instance, String worker) {}

  /** Wants up to `most` jobs of one type; `taken` gets them as soon as there is one. */
  record Poll(String type, int most, String worker, Consumer<List<Job>> taken) {}

  private final AtomicLong keys = new AtomicLong(2251799813685249L);
  private final Map<String, Process> processes = new TreeMap<>();
  private final Map<Long, Instance> instances = new TreeMap<>(Comparator.reverseOrder());
  private final Map<Long, Instance> waiting = new TreeMap<>();
  private final Map<Long, Instance> atWork = new TreeMap<>();
  private final List<Poll> polls = new ArrayList<>();

  long key() {
    return keys.getAndIncrement();
  }

  synchronized Process deploy(String bpmn) {
    Matcher process = PROCESS.matcher(bpmn);
    Matcher type = JOB_TYPE.matcher(bpmn);
    if (!process.find() || !type.find()) {
      return null;
    }
    Process before = processes.get(process.group(1));
    int version = before == null ? 1 : before.version() + 1;
    Process made = new Process(key(), process.group(1), type.group(1), version);
    processes.put(made.id(), made);
    return made;
  }

  synchronized Instance start(String id, Map<String, Object> variables) {
    Process process = processes.get(id);
    if (process == null) {
      return null;
    }
    Instance instance = new Instance(key(), process, variables, new String[] {"ACTIVE"});
    instances.put(instance.key(), instance);
    waiting.put(key(), instance);
    serve();
    return instance;
  }

  synchronized void poll(Poll poll) {
    polls.add(poll);
    serve();
  }

  synchronized void giveUp(Poll poll) {
    polls.remove(poll);
  }

  /** Whether there was such a job at work. */
  synchronized boolean complete(long job) {
    Instance instance = atWork.remove(job);
    if (instance != null) {
      instance.state()[0] = "COMPLETED";
    }
    return instance != null;
  }

  /** Whether there was such an instance, still running. */
  synchronized boolean cancel(long key) {
    Instance instance = instances.get(key);
    if (instance == null || !instance.state()[0].equals("ACTIVE")) {
      return false;
    }
    instance.state()[0] = "TERMINATED";
    waiting.values().remove(instance);
    return true;
  }

  synchronized List<Instance> newest(int most) {
    return instances.values().stream().limit(most).toList();
  }

  synchronized int count() {
    return instances.size();
  }

  private void serve() {
    for (Poll poll : List.copyOf(polls)) {
      List<Long> found = waiting.entrySet().stream()
          .filter(job -> job.getValue().process().jobType().equals(poll.type()))
          .map(Map.Entry::getKey).limit(poll.most()).toList();
      if (!found.isEmpty()) {
        polls.remove(poll);
        List<Job> jobs = found.stream().map(key -> new Job(key, waiting.remove(key), poll.worker())).toList();
        jobs.forEach(job -> atWork.put(job.key(), job.instance()));
        poll.taken().accept(jobs);
      }
    }
  }
}
