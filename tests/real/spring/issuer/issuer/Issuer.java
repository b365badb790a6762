package issuer;

import java.util.Map;
import org.apache.catalina.connector.Connector;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.web.embedded.tomcat.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.Configuration;

/**
 * A Spring Authorization Server on 127.0.0.1: `Issuer PORT TLS_PORT FOLDER`. FOLDER holds what keys.sh makes:
 * server.crt and server.key are for the second port, signing.crt is the certificate of its clients `signed` and `tls`.
 */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
@ComponentScan
public class Issuer {
  public static void main(String[] arguments) {
    SpringApplication application = new SpringApplication(Issuer.class);
    application.setDefaultProperties(Map.ofEntries(
        Map.entry("plain.port", arguments[0]),
        Map.entry("certificate", arguments[2] + "/signing.crt"),
        Map.entry("server.address", "127.0.0.1"),
        Map.entry("server.port", arguments[1]),
        Map.entry("server.ssl.certificate", "file:" + arguments[2] + "/server.crt"),
        Map.entry("server.ssl.certificate-private-key", "file:" + arguments[2] + "/server.key"),
        Map.entry("server.ssl.trust-certificate", "file:" + arguments[2] + "/ca.crt"),
        Map.entry("server.ssl.client-auth", "want"),
        Map.entry("spring.main.banner-mode", "off")));
    application.run();
  }

  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> plain(
      @Value("${plain.port}") int port) {
    return factory -> {
      Connector connector = new Connector();
      connector.setPort(port);
      connector.setProperty("address", "127.0.0.1");
      factory.addAdditionalTomcatConnectors(connector);
    };
  }
}
