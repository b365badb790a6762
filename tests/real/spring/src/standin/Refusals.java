package standin;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.oauth2.server.resource.InvalidBearerTokenException;
import org.springframework.security.oauth2.server.resource.web.BearerTokenAuthenticationEntryPoint;
import org.springframework.security.oauth2.server.resource.web.access.BearerTokenAccessDeniedHandler;
import org.springframework.security.web.AuthenticationEntryPoint;
import org.springframework.security.web.access.AccessDeniedHandler;
import org.springframework.security.web.access.AccessDeniedHandlerImpl;
import org.springframework.security.web.authentication.www.BasicAuthenticationEntryPoint;

/** How each application says no, where Camunda does not leave that to Spring. */
final class Refusals {
  private Refusals() {}

  /** To a request without a credential, or with a bad one. */
  static AuthenticationEntryPoint stranger(App app) {
    return switch (app.door()) {
      case ENGINE -> (request, response, why) -> problem(request, response, 401, "Unauthorized",
          why instanceof InvalidBearerTokenException ? why.getMessage() : "Access Denied");
      case OPERATE -> (request, response, why) -> {
        if (why instanceof InvalidBearerTokenException) {
          // Spring's own, as it answers where there is no token authentication: 403 and a bare challenge.
          new BearerTokenAccessDeniedHandler().handle(request, response, new AccessDeniedException("", why));
        } else {
          message(response, 401, "{\"message\":\"\"}");
        }
      };
      case TOKENS -> (request, response, why) -> {
        new BearerTokenAuthenticationEntryPoint().commence(request, response, why);
        problem(request, response, response.getStatus(), "Unauthorized", why.getMessage());
      };
      case BASIC -> {
        BasicAuthenticationEntryPoint basic = new BasicAuthenticationEntryPoint();
        basic.setRealmName("Realm");
        yield basic;
      }
      case SESSION -> (request, response, why) -> message(response, 401, "{\"message\":\"\"}");
      case CLUSTER -> (request, response, why) -> problem(request, response, 401, "Unauthorized", why.getMessage());
    };
  }

  /** To a request without a good CSRF pair. */
  static AccessDeniedHandler forged(App app) {
    if (app.door() == App.Door.CLUSTER) { // 8.10: 401 or 403, say its release notes
      return (request, response, why) -> {
        if (app.csrfOfLogin()) {
          problem(request, response, 403, "Forbidden", why.getMessage());
        } else {
          problem(request, response, 401, "Unauthorized", why.getMessage());
        }
      };
    }
    if (app.name().equals("tasklist")) {
      return (request, response, why) ->
          message(response, 403, "{\"error\": \"Access denied due to invalid CSRF token.\"}");
    }
    return new AccessDeniedHandlerImpl(); // Operate: Spring's own 403, which names nothing
  }

  private static void problem(
      HttpServletRequest request, HttpServletResponse response, int status, String title, String detail)
      throws IOException {
    String json = "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\",\"instance\":\"%s\"}";
    write(response, status, "application/problem+json;charset=UTF-8",
        json.formatted(title, status, quoted(detail), quoted(request.getRequestURI())));
  }

  private static String quoted(String text) {
    return text.replace("\\", "\\\\").replace("\"", "\\\"");
  }

  private static void message(HttpServletResponse response, int status, String body) throws IOException {
    write(response, status, "application/json;charset=UTF-8", body);
  }

  private static void write(HttpServletResponse response, int status, String type, String body) throws IOException {
    response.setStatus(status);
    response.setContentType(type);
    response.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
  }
}
