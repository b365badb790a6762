package standin;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;

/**
 * All applications of one Camunda release in one process, each on a port of its own on 127.0.0.1:
 * `StandIn RELEASE PORTS ISSUER...`. Writes lines of `name port path` to the file PORTS once all are up. The ports
 * that PORTS.before names, where there is such a file, are taken again. Tokens of every ISSUER are good.
 */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
@ComponentScan
public class StandIn {
  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[1]);
    Path last = file.resolveSibling(file.getFileName() + ".before");
    List<String> before = Files.exists(last) ? Files.readAllLines(last) : List.of();
    List<String> issuers = List.of(arguments).subList(2, arguments.length);
    List<String> lines = new ArrayList<>();
    for (App app : App.of(arguments[0])) {
      String port = before.stream().filter(line -> line.startsWith(app.name() + " ")).findFirst()
          .map(line -> line.split(" ")[1]).orElseGet(StandIn::freePort);
      ConfigurableApplicationContext context = start(app, port, issuers);
      lines.add(app.name() + " " + context.getEnvironment().getProperty("local.server.port") + " " + app.path());
    }
    Path whole = Files.write(file.resolveSibling(file.getFileName() + ".new"), lines);
    Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Below the ports of outgoing connections, so that it can be taken again after a restart. */
  private static String freePort() {
    while (true) {
      int port = ThreadLocalRandom.current().nextInt(20_000, 32_000);
      try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
        return Integer.toString(free.getLocalPort());
      } catch (IOException taken) {
        // the next one, then
      }
    }
  }

  private static ConfigurableApplicationContext start(App app, String port, List<String> issuers) {
    SpringApplication application = new SpringApplication(StandIn.class);
    application.addInitializers(context -> {
      context.getBeanFactory().registerSingleton("app", app);
      context.getBeanFactory().registerSingleton("issuers", new Issuers(issuers));
    });
    application.setDefaultProperties(Map.ofEntries(
        Map.entry("server.address", "127.0.0.1"),
        Map.entry("server.port", port),
        Map.entry("server.servlet.context-path", app.path()),
        Map.entry("server.servlet.session.cookie.name", app.cookie()),
        Map.entry("server.servlet.session.cookie.http-only", "true"),
        Map.entry("server.servlet.session.timeout", "1m"), // Tomcat's smallest; Camunda's is 30m
        Map.entry("spring.servlet.multipart.max-file-size", "4MB"), // up to 8.7, documentation
        Map.entry("spring.servlet.multipart.max-request-size", "4MB"),
        Map.entry("server.tomcat.accesslog.enabled", "true"),
        Map.entry("server.tomcat.accesslog.directory", Path.of("access").toAbsolutePath().toString()),
        Map.entry("server.tomcat.accesslog.prefix", app.name()),
        Map.entry("server.tomcat.accesslog.file-date-format", ""),
        Map.entry("server.tomcat.accesslog.buffered", "false"),
        Map.entry("server.tomcat.accesslog.pattern", "%s %m %U %{User-Agent}i"),
        Map.entry("server.tomcat.background-processor-delay", "1s"), // looks for sessions that have idled out
        Map.entry("spring.main.banner-mode", "off"),
        Map.entry("spring.jmx.enabled", "false")));
    return application.run();
  }

  /** Whose tokens are good. */
  record Issuers(List<String> urls) {}
}
