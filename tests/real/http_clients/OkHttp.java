import java.io.IOException;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.RequestBody;
import okhttp3.Response;
import okio.BufferedSink;

/** OkHttp. It does not retry, because a retry would hide a fault. */
final class OkHttp extends Program {
  private static final MediaType TYPE = MediaType.get("application/octet-stream");

  private final OkHttpClient client = new OkHttpClient.Builder().retryOnConnectionFailure(false).build();

  public static void main(String[] arguments) throws Exception {
    new OkHttp().run();
  }

  @Override
  Answer send(Request request) throws Exception {
    okhttp3.Request.Builder builder = new okhttp3.Request.Builder()
        .url(request.url().toURL())
        .method(request.method(), request.body().length == 0 ? null : body(request));
    if (request.has("expect")) {
      builder.header("Expect", "100-continue");
    }
    if (request.has("origin")) {
      builder.header("Origin", "http://elsewhere.example");
    }
    if (request.has("offer")) {
      builder.header("Connection", "Upgrade, HTTP2-Settings");
      builder.header("Upgrade", "h2c");
      builder.header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    }
    try (Response response = client.newCall(builder.build()).execute()) {
      return new Answer(response.code(), response.header("Content-Type", "-"), response.body().string());
    }
  }

  private static RequestBody body(Request request) {
    if (!request.has("chunks")) {
      return RequestBody.create(request.body(), TYPE);
    }
    return new RequestBody() { // of no known length
      @Override
      public MediaType contentType() {
        return TYPE;
      }

      @Override
      public void writeTo(BufferedSink sink) throws IOException {
        sink.write(request.body());
      }
    };
  }
}
