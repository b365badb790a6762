package issuer;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSelector;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.util.List;
import java.util.UUID;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetails;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.config.annotation.web.configurers.OAuth2AuthorizationServerConfigurer;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.LoginUrlAuthenticationEntryPoint;

/** The endpoints, and what tokens say: RS512, for Camunda's audiences. */
@Configuration(proxyBeanMethods = false)
class Tokens {
  /** The key that signs; `next` puts another in its place. */
  static final class Keys implements JWKSource<SecurityContext> {
    private volatile JWKSet set = made();

    void next() {
      set = made();
    }

    private static JWKSet made() {
      try {
        return new JWKSet(new RSAKeyGenerator(2048).keyID(UUID.randomUUID().toString()).generate());
      } catch (JOSEException impossible) {
        throw new IllegalStateException(impossible);
      }
    }

    @Override
    public List<JWK> get(JWKSelector selector, SecurityContext context) {
      return selector.select(set);
    }
  }

  @Bean
  Keys keys() {
    return new Keys();
  }

  @Bean
  AuthorizationServerSettings settings(@Value("${plain.port}") int port) {
    return AuthorizationServerSettings.builder().issuer("http://127.0.0.1:" + port).build();
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> audiences() {
    return context -> {
      context.getJwsHeader().algorithm(SignatureAlgorithm.RS512);
      context.getClaims().audience(List.of("zeebe-api", "operate-api"));
    };
  }

  @Bean
  @Order(1)
  SecurityFilterChain endpoints(HttpSecurity http) throws Exception {
    OAuth2AuthorizationServerConfigurer server = OAuth2AuthorizationServerConfigurer.authorizationServer();
    http.securityMatcher(server.getEndpointsMatcher());
    http.with(server, endpoints -> endpoints.oidc(Customizer.withDefaults()) // for its discovery document
        .deviceAuthorizationEndpoint(Customizer.withDefaults())
        .deviceVerificationEndpoint(Customizer.withDefaults()));
    http.authorizeHttpRequests(rules -> rules.anyRequest().authenticated());
    http.exceptionHandling(errors -> errors.authenticationEntryPoint(new LoginUrlAuthenticationEntryPoint("/login")));
    return http.build();
  }

  /** The login of persons, and what an operator does; the latter open, as the server is on loopback. */
  @Bean
  @Order(2)
  SecurityFilterChain rest(HttpSecurity http) throws Exception {
    http.authorizeHttpRequests(rules -> rules.anyRequest().permitAll());
    return http.formLogin(Customizer.withDefaults()).csrf(AbstractHttpConfigurer::disable).build();
  }

  @Bean
  UserDetailsService persons() {
    return new InMemoryUserDetailsManager(person("demo"), person("careful"));
  }

  private static UserDetails person(String name) {
    return User.withUsername(name).password("{noop}demo").roles("USER").build();
  }
}
