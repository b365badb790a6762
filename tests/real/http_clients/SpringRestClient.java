import java.nio.charset.StandardCharsets;
import org.springframework.http.HttpMethod;
import org.springframework.http.MediaType;
import org.springframework.http.StreamingHttpOutputMessage;
import org.springframework.web.client.RestClient;

/** Spring's RestClient as it is where the class path has no other client: on java.net.http. */
final class SpringRestClient extends Program {
  private final RestClient client = RestClient.create();

  public static void main(String[] arguments) throws Exception {
    new SpringRestClient().run();
  }

  @Override
  Answer send(Request request) {
    RestClient.RequestBodySpec spec =
        client.method(HttpMethod.valueOf(request.method())).uri(request.url());
    if (request.has("origin")) {
      spec.header("Origin", "http://elsewhere.example");
    }
    if (request.has("chunks")) {
      StreamingHttpOutputMessage.Body body = output -> output.write(request.body());
      spec.body(body);
    } else if (request.body().length > 0) {
      spec.contentType(MediaType.APPLICATION_OCTET_STREAM).body(request.body());
    }
    return spec.exchange((sent, response) -> new Answer(
        response.getStatusCode().value(),
        String.valueOf(response.getHeaders().getFirst("Content-Type")),
        new String(response.getBody().readAllBytes(), StandardCharsets.UTF_8)));
  }
}
