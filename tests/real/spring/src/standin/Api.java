package standin;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.web.ErrorResponseException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.context.request.async.DeferredResult;
import org.springframework.web.multipart.MaxUploadSizeExceededException;
import org.springframework.web.multipart.MultipartFile;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;

/**
 * The calls that our tests and the official clients make. Shapes are those that the schemas of npm's
 * `@camunda8/orchestration-cluster-api` and PyPI's `camunda-orchestration-sdk` accept; 8.6 differs as `App` says.
 */
@RestController
class Api {
  private static final String TENANT = "<default>";

  /** Later than 8.6, whose own Java client takes no name that it does not know. */
  private static final Set<String> LATER = Set.of("brokerId", "businessId", "clusterId", "kind",
      "lastCompletedChangeId", "listenerEventType", "physicalTenantId", "priority", "resource",
      "rootProcessInstanceKey", "tags", "userTask");

  private final App app;
  private final Engine engine;

  Api(App app, Engine engine) {
    this.app = app;
    this.engine = engine;
  }

  @GetMapping("/v2/topology")
  Map<String, Object> topology() {
    Map<String, Object> partition = object("partitionId", 1, "role", "leader", "health", "healthy");
    if (app.textKeys()) {
      partition.put("state", "active");
    }
    Map<String, Object> broker = object(
        "nodeId", 0, "brokerId", "0", "host", "stand-in", "port", 26501, "partitions", List.of(partition),
        "version", "8.0.0");
    return object("brokers", List.of(broker), "clusterId", null, "clusterSize", 1, "partitionsCount", 1,
        "replicationFactor", 1, "gatewayVersion", "8.0.0", "lastCompletedChangeId", "-1");
  }

  @GetMapping("/v2/license")
  Map<String, Object> license() {
    return object("validLicense", false, "licenseType", "unknown", "isCommercial", false, "expiresAt", null);
  }

  @GetMapping("/v2/status")
  ResponseEntity<Void> status() {
    return ResponseEntity.noContent().build();
  }

  @PostMapping(path = "/v2/deployments", consumes = MediaType.MULTIPART_FORM_DATA_VALUE)
  Map<String, Object> deploy(@RequestParam("resources") MultipartFile resource) throws IOException {
    Engine.Process process = engine.deploy(new String(resource.getBytes(), StandardCharsets.UTF_8));
    if (process == null) {
      throw problem(400, "INVALID_ARGUMENT", "Expected to deploy a process with a service task, found none");
    }
    Map<String, Object> definition = object(
        "processDefinitionId", process.id(), "processDefinitionVersion", process.version(),
        "processDefinitionKey", key(process.key()), "tenantId", TENANT,
        "resourceName", resource.getOriginalFilename());
    Map<String, Object> deployed = object("processDefinition", definition, "decisionDefinition", null,
        "decisionRequirements", null, "form", null, "resource", null);
    return object("deploymentKey", key(engine.key()), "tenantId", TENANT, "deployments", List.of(deployed));
  }

  @PostMapping("/v2/process-instances")
  Map<String, Object> start(@RequestBody Map<String, Object> wish) {
    Map<String, Object> variables = members(wish.get("variables"));
    Engine.Instance instance = engine.start(String.valueOf(wish.get("processDefinitionId")), variables);
    if (instance == null) {
      throw problem(404, "NOT_FOUND", "Expected to find a process definition, found none");
    }
    Map<String, Object> answer = described(instance);
    answer.putAll(object("variables", Map.of()));
    return answer;
  }

  @PostMapping("/v2/process-instances/{key}/cancellation")
  ResponseEntity<Void> cancel(@PathVariable long key) {
    if (!engine.cancel(key)) {
      throw problem(404, "NOT_FOUND", "Command 'CANCEL' rejected with code 'NOT_FOUND'");
    }
    return ResponseEntity.noContent().build();
  }

  @PostMapping("/v2/process-instances/search")
  Map<String, Object> search(@RequestBody(required = false) Map<String, Object> query) {
    Object most = members(members(query).get("page")).getOrDefault("limit", 100);
    List<Map<String, Object>> items = engine.newest(((Number) most).intValue()).stream().map(instance -> {
      Map<String, Object> item = described(instance);
      item.putAll(object("processDefinitionName", null, "processDefinitionVersionTag", null,
          "startDate", "2026-01-01T00:00:00.000Z", "endDate", null, "suspendedDate", null, "state", instance.state()[0],
          "hasIncident", false, "parentProcessInstanceKey", null, "parentElementInstanceKey", null,
          "rootProcessInstanceKey", null));
      return item;
    }).toList();
    return page(items, engine.count());
  }

  @PostMapping("/v2/users/search")
  Map<String, Object> users() {
    return page(List.of(object("username", "demo", "name", "Demo", "email", null)), 1);
  }

  /** Operate's and Tasklist's V1 APIs, up to 8.9. */
  @PostMapping({"/v1/process-definitions/search", "/v1/tasks/search"})
  Map<String, Object> definitions(@RequestBody Map<String, Object> query) {
    return object("items", List.of(), "sortValues", List.of(), "total", 0);
  }

  /**
   * A long poll: `requestTimeout` milliseconds, 0 is 10 s, negative is none at all. An empty one is answered 30 ms late
   * by 8.6 (observed; its own Java client has given up by then), else a little early: Camunda's clients wait no longer.
   */
  @PostMapping("/v2/jobs/activation")
  DeferredResult<Map<String, Object>> activate(@RequestBody Map<String, Object> wish) {
    long timeout = ((Number) wish.getOrDefault("requestTimeout", 0)).longValue();
    long patience = Math.max(0, (timeout == 0 ? 10_000 : timeout) + (app.textKeys() ? -100 : 30));
    DeferredResult<Map<String, Object>> result = new DeferredResult<>(0L); // Tomcat looks for time-outs once a second
    long lock = ((Number) wish.getOrDefault("timeout", 60_000)).longValue();
    Engine.Poll poll = new Engine.Poll(
        String.valueOf(wish.get("type")),
        ((Number) wish.getOrDefault("maxJobsToActivate", 1)).intValue(),
        String.valueOf(wish.getOrDefault("worker", "")),
        jobs -> result.setResult(Map.of("jobs", jobs.stream().map(job -> described(job, lock)).toList())));
    result.onCompletion(() -> engine.giveUp(poll));
    engine.poll(poll);
    CompletableFuture.delayedExecutor(patience, TimeUnit.MILLISECONDS).execute(() -> {
      engine.giveUp(poll);
      result.setResult(Map.of("jobs", List.of())); // without effect where it has been answered
    });
    return result;
  }

  @PostMapping("/v2/jobs/{key}/completion")
  ResponseEntity<Void> complete(@PathVariable long key, @RequestBody(required = false) Map<String, Object> result) {
    if (!engine.complete(key)) {
      throw problem(404, "NOT_FOUND", "Command 'COMPLETE' rejected with code 'NOT_FOUND'");
    }
    return ResponseEntity.noContent().build();
  }

  @PostMapping("/v2/messages/publication")
  Map<String, Object> publish(@RequestBody Map<String, Object> message) {
    return object("messageKey", key(engine.key()), "tenantId", TENANT);
  }

  /** A chunked answer: three pieces, each flushed by itself. */
  @GetMapping("/v2/documents/{id}")
  ResponseEntity<StreamingResponseBody> document(@PathVariable String id) {
    return ResponseEntity.ok().contentType(MediaType.APPLICATION_OCTET_STREAM).body(out -> {
      for (int piece = 0; piece < 3; piece++) {
        out.write((id + piece + "\n").repeat(1000).getBytes(StandardCharsets.UTF_8));
        out.flush();
      }
    });
  }

  /** MCP's way to answer (8.9): an event stream, `events` of them, one every `pause` milliseconds. */
  @PostMapping(path = "/mcp/cluster", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
  SseEmitter events(@RequestParam(defaultValue = "3") int events, @RequestParam(defaultValue = "0") long pause) {
    SseEmitter emitter = new SseEmitter(Duration.ofMinutes(5).toMillis());
    new Thread(() -> {
      try {
        for (int event = 0; event < events; event++) {
          emitter.send("event " + event);
          Thread.sleep(pause);
        }
        emitter.complete();
      } catch (IOException | InterruptedException gone) {
        emitter.completeWithError(gone);
      }
    }).start();
    return emitter;
  }

  @ExceptionHandler(MaxUploadSizeExceededException.class)
  ResponseEntity<Void> tooLarge() {
    return ResponseEntity.status(413).build(); // 8.6.0: an empty body
  }

  private Map<String, Object> described(Engine.Instance instance) {
    return object("processDefinitionId", instance.process().id(),
        "processDefinitionVersion", instance.process().version(),
        "processDefinitionKey", key(instance.process().key()), "processInstanceKey", key(instance.key()),
        "tenantId", TENANT, "tags", List.of(), "businessId", null);
  }

  private Map<String, Object> described(Engine.Job job, long lock) {
    Map<String, Object> members = described(job.instance());
    members.putAll(object(app.textKeys() ? "jobKey" : "key", key(job.key()),
        "type", job.instance().process().jobType(), "elementId", "work", "elementInstanceKey", key(job.key() + 1),
        "customHeaders", Map.of(), "worker", job.worker(), "retries", 3,
        "deadline", Instant.now().toEpochMilli() + lock, "variables", job.instance().variables(),
        "kind", "BPMN_ELEMENT", "listenerEventType", "UNSPECIFIED", "userTask", null,
        "rootProcessInstanceKey", null, "physicalTenantId", "default", "priority", 50));
    return members;
  }

  private Object key(long key) {
    return app.textKeys() ? Long.toString(key) : (Object) key;
  }

  private Map<String, Object> page(List<Map<String, Object>> items, int total) {
    Map<String, Object> page = object(
        "totalItems", total, "hasMoreTotalItems", false, "startCursor", null, "endCursor", null);
    return object("items", items, "page", page);
  }

  /** The members of a JSON object; none where there is none. */
  @SuppressWarnings("unchecked")
  private static Map<String, Object> members(Object object) {
    return object instanceof Map<?, ?> map ? (Map<String, Object>) map : Map.of();
  }

  /** A JSON object of names and values in turn, those that the release knows; unlike Map.of it may hold null. */
  private Map<String, Object> object(Object... namesAndValues) {
    Map<String, Object> object = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      String name = (String) namesAndValues[i];
      if (app.textKeys() || !LATER.contains(name)) {
        object.put(name, namesAndValues[i + 1]);
      }
    }
    return object;
  }

  private static ErrorResponseException problem(int status, String title, String detail) {
    ProblemDetail problem = ProblemDetail.forStatusAndDetail(HttpStatus.valueOf(status), detail);
    problem.setTitle(title);
    problem.setType(URI.create("about:blank")); // Spring 7 leaves it out else
    return new ErrorResponseException(HttpStatus.valueOf(status), problem, null);
  }
}
