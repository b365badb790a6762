import io.camunda.client.CamundaClient;
import io.camunda.client.api.JsonMapper;
import io.camunda.client.api.command.ProblemException;
import io.camunda.client.api.response.ActivatedJob;
import io.camunda.client.api.worker.JobWorker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Maven's camunda-client-java; clients.sh makes the program of zeebe-client-java 8.6 from it, where
 * the same things have other names. Mode and BPMN file as arguments, one JSON line for each
 * operation on stdout.
 */
public final class OfficialClient {
  private static final Duration MINUTE = Duration.ofMinutes(1);

  private final CamundaClient client;
  private final JsonMapper json;
  private final Path file;
  private final String process;

  private OfficialClient(CamundaClient client, Path file) {
    this.client = client;
    this.json = client.getConfiguration().getJsonMapper();
    this.file = file;
    this.process = file.getFileName().toString().replace(".bpmn", "");
  }

  public static void main(String[] arguments) throws Exception {
    // REST, the address and the credentials (or none) are the environment's.
    try (CamundaClient client = CamundaClient.newClientBuilder().build()) {
      OfficialClient program = new OfficialClient(client, Path.of(arguments[1]));
      if (arguments[0].equals("work")) {
        program.work();
      } else {
        program.operations();
      }
    }
  }

  private void operations() throws Exception {
    attempt("topology", () -> client.newTopologyRequest().send().join().toString());
    attempt("deploy", () -> deploy().toString());
    CompletableFuture<List<ActivatedJob>> poll =
        CompletableFuture.supplyAsync(() -> attempt("activate", () -> activate(process + "-work", 20)));
    Thread.sleep(1000); // so that the poll is there before the job
    long[] instance = new long[1];
    attempt("create", () -> {
      instance[0] = create();
      return instance[0];
    });
    List<ActivatedJob> jobs = poll.get();
    attempt("complete", () -> {
      client.newCompleteCommand(jobs.get(0).getKey()).send().join();
      return null;
    });
    attempt("wait", () -> activate("nobodys-work", 2));
    attempt("cancel", () -> {
      client.newCancelInstanceCommand(instance[0]).send().join();
      return null;
    });
    attempt("search", () -> client.newProcessInstanceSearchRequest().send().join().items().size());
    attempt("publish", () -> client.newPublishMessageCommand()
        .messageName("news").correlationKey("all").timeToLive(Duration.ZERO).send().join().getMessageKey());
  }

  /** A worker whose first poll outlives a token of 20 s, and the jobs after it. */
  private void work() throws Exception {
    deploy();
    AtomicInteger completed = new AtomicInteger();
    try (JobWorker worker = client.newWorker()
        .jobType(process + "-work")
        .handler((jobs, job) -> {
          jobs.newCompleteCommand(job.getKey()).send().join();
          completed.incrementAndGet();
        })
        .timeout(MINUTE).maxJobsActive(1).requestTimeout(Duration.ofSeconds(25)).open()) {
      Thread.sleep(22_000);
      for (int created = 0; created < 3; created++) {
        create();
        Thread.sleep(1000);
      }
    }
    say("work", completed.get() == 3, null, Map.of("completed", completed.get()));
  }

  private Object deploy() {
    return client.newDeployResourceCommand().addResourceFile(file.toString()).send().join();
  }

  private long create() {
    return client.newCreateInstanceCommand().bpmnProcessId(process).latestVersion()
        .variables(Map.of("word", "größer")).send().join().getProcessInstanceKey();
  }

  private List<ActivatedJob> activate(String type, int seconds) {
    return client.newActivateJobsCommand().jobType(type).maxJobsToActivate(1).timeout(MINUTE)
        .requestTimeout(Duration.ofSeconds(seconds)).send().join().getJobs();
  }

  private <T> T attempt(String op, Callable<T> call) {
    try {
      T answer = call.call();
      say(op, true, null, answer);
      return answer;
    } catch (ProblemException problem) {
      say(op, false, problem.code(), failure(problem));
    } catch (Exception error) {
      say(op, false, null, failure(error));
    }
    return null;
  }

  private static Map<String, String> failure(Exception error) {
    return Map.of("error", error.getClass().getSimpleName(), "message", String.valueOf(error.getMessage()));
  }

  private synchronized void say(String op, boolean ok, Integer status, Object detail) {
    Map<String, Object> line = new HashMap<>();
    line.put("op", op);
    line.put("ok", ok);
    line.put("status", status);
    line.put("detail", detail instanceof List<?> jobs ? jobs.stream().map(Object::toString).toList() : detail);
    System.out.println(json.toJson(line));
  }
}
