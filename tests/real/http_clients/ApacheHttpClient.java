import java.io.ByteArrayInputStream;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.protocol.HttpClientContext;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpEntity;
import org.apache.hc.core5.http.io.entity.ByteArrayEntity;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.io.entity.InputStreamEntity;
import org.apache.hc.core5.http.io.support.ClassicRequestBuilder;

/** Apache HttpClient 5, classic. It does not retry, because a retry would hide a fault. */
final class ApacheHttpClient extends Program {
  private final CloseableHttpClient client = HttpClients.custom().disableAutomaticRetries().build();

  public static void main(String[] arguments) throws Exception {
    new ApacheHttpClient().run();
  }

  @Override
  Answer send(Request request) throws Exception {
    ClassicRequestBuilder builder = ClassicRequestBuilder.create(request.method()).setUri(request.url());
    if (request.body().length > 0) {
      builder.setEntity(entity(request));
    }
    if (request.has("origin")) {
      builder.setHeader("Origin", "http://elsewhere.example");
    }
    if (request.has("offer")) {
      builder.setHeader("Connection", "Upgrade, HTTP2-Settings");
      builder.setHeader("Upgrade", "h2c");
      builder.setHeader("HTTP2-Settings", "AAMAAABkAAQAAP__");
    }
    HttpClientContext context = HttpClientContext.create();
    context.setRequestConfig(RequestConfig.custom().setExpectContinueEnabled(request.has("expect")).build());
    return client.execute(builder.build(), context, response -> new Answer(
        response.getCode(),
        response.getFirstHeader("Content-Type").getValue(),
        EntityUtils.toString(response.getEntity())));
  }

  private static HttpEntity entity(Request request) {
    ContentType type = ContentType.APPLICATION_OCTET_STREAM;
    return request.has("chunks")
        ? new InputStreamEntity(new ByteArrayInputStream(request.body()), -1, type)
        : new ByteArrayEntity(request.body(), type);
  }
}
