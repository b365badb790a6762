import java.io.ByteArrayInputStream;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;

/** The JDK's own client with its defaults, which offer HTTP/2 in every request. */
final class JavaNetHttp extends Program {
  private final HttpClient client = HttpClient.newHttpClient();

  public static void main(String[] arguments) throws Exception {
    new JavaNetHttp().run();
  }

  @Override
  Answer send(Request request) throws Exception {
    HttpRequest.BodyPublisher body = request.has("chunks")
        ? BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(request.body()))
        : BodyPublishers.ofByteArray(request.body());
    HttpRequest.Builder builder = HttpRequest.newBuilder(request.url())
        .method(request.method(), request.body().length == 0 ? BodyPublishers.noBody() : body)
        .expectContinue(request.has("expect"));
    if (request.has("origin")) {
      builder.header("Origin", "http://elsewhere.example");
    }
    HttpResponse<String> response = client.send(builder.build(), HttpResponse.BodyHandlers.ofString());
    String type = response.headers().firstValue("Content-Type").orElse("-");
    return new Answer(response.statusCode(), type, response.body());
  }
}
