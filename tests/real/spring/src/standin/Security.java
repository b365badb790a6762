package standin;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.annotation.Order;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import org.springframework.security.crypto.password.PasswordEncoder;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.jwt.SupplierJwtDecoder;
import org.springframework.security.oauth2.server.resource.InvalidBearerTokenException;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationProvider;
import org.springframework.security.oauth2.server.resource.authentication.JwtIssuerAuthenticationManagerResolver;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.access.intercept.AuthorizationFilter;
import org.springframework.security.web.csrf.CookieCsrfTokenRepository;
import org.springframework.security.web.csrf.CsrfToken;
import org.springframework.security.web.util.matcher.RequestMatcher;

/** Spring Security's filter chains: one for the API, one for the login and the pages. */
@Configuration(proxyBeanMethods = false)
class Security {
  private static final Set<String> SAFE = Set.of("GET", "HEAD", "TRACE", "OPTIONS");
  private static final List<String> API = List.of("/api/", "/v1/", "/v2/", "/mcp/");
  private static final Set<String> PAGES = Set.of("/", "/error", "/login", "/operate", "/tasklist");
  private static final Set<String> OPEN = Set.of("/v2/license", "/v2/status"); // 8.8 and later; 8.6 refuses

  /** As Camunda says: RS256 to ES512. */
  private static final List<SignatureAlgorithm> SIGNATURES = List.of(SignatureAlgorithm.values());

  @Bean
  @Order(1)
  SecurityFilterChain apiChain(HttpSecurity http, App app, StandIn.Issuers issuers, CookieCsrfTokenRepository csrf)
      throws Exception {
    http.securityMatcher(
        request -> API.stream().anyMatch(path(request)::startsWith) && !path(request).equals(app.login())
            && !path(request).equals(app.logout()));
    Set<String> open = app.door() == App.Door.TOKENS || app.door() == App.Door.CLUSTER ? OPEN : Set.of();
    http.authorizeHttpRequests(rules -> rules
        .requestMatchers((RequestMatcher) request -> open.contains(path(request))).permitAll()
        .anyRequest().authenticated());
    http.exceptionHandling(errors -> errors.authenticationEntryPoint(Refusals.stranger(app))
        .accessDeniedHandler(Refusals.forged(app)));
    if (app.door().tokens()) {
      http.sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS));
      http.oauth2ResourceServer(server -> server
          .authenticationEntryPoint(Refusals.stranger(app))
          .bearerTokenResolver(bearer(app))
          .authenticationManagerResolver(new JwtIssuerAuthenticationManagerResolver(
              managers(app, issuers)::get)));
    }
    if (app.door() == App.Door.CLUSTER || app.door() == App.Door.BASIC) {
      http.httpBasic(basic -> basic.authenticationEntryPoint(Refusals.stranger(app)));
    }
    if (app.door() == App.Door.CLUSTER) {
      http.sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.NEVER));
      http.anonymous(AbstractHttpConfigurer::disable);
    }
    if (app.door() == App.Door.SESSION) {
      http.requestCache(AbstractHttpConfigurer::disable); // 8.6.0 gives no session to strangers
    }
    return protectedFromForgery(http, app, csrf).build();
  }

  @Bean
  @Order(2)
  SecurityFilterChain webChain(HttpSecurity http, App app, CookieCsrfTokenRepository csrf) throws Exception {
    http.exceptionHandling(errors -> errors.authenticationEntryPoint(Refusals.stranger(app))
        .accessDeniedHandler(Refusals.forged(app)));
    if (app.door() == App.Door.CLUSTER) {
      http.authorizeHttpRequests(rules -> rules
          .requestMatchers((RequestMatcher) request -> PAGES.contains(path(request))).permitAll()
          .anyRequest().denyAll());
    } else if (app.door() == App.Door.BASIC) {
      http.httpBasic(basic -> basic.authenticationEntryPoint(Refusals.stranger(app)));
      http.authorizeHttpRequests(rules -> rules
          .requestMatchers((RequestMatcher) request -> path(request).equals("/error")).permitAll()
          .anyRequest().authenticated());
    } else {
      http.authorizeHttpRequests(rules -> rules.anyRequest().permitAll());
    }
    if (app.door().sessions()) {
      http.formLogin(form -> form
          .loginPage("/nowhere") // no page of Spring's own
          .loginProcessingUrl(app.login())
          .successHandler((request, response, who) -> {
            show(request, response);
            response.setStatus(HttpServletResponse.SC_NO_CONTENT);
          })
          .failureHandler(Refusals.stranger(app)::commence));
      http.logout(logout -> logout
          .logoutUrl(app.logout())
          .deleteCookies(app.cookie())
          .logoutSuccessHandler((request, response, who) -> response.setStatus(HttpServletResponse.SC_NO_CONTENT)));
    }
    return protectedFromForgery(http, app, csrf).build();
  }

  /** CSRF pairs of cookie and header, masked by Spring's own handler, and the header on authenticated GETs. */
  private static HttpSecurity protectedFromForgery(HttpSecurity http, App app, CookieCsrfTokenRepository repository)
      throws Exception {
    if (app.csrf().isEmpty()) {
      return http.csrf(AbstractHttpConfigurer::disable);
    }
    http.csrf(csrf -> csrf
        .csrfTokenRepository(repository)
        .requireCsrfProtectionMatcher(request -> wanted(app, request)));
    if (app.door().sessions()) {
      http.addFilterAfter((request, response, chain) -> {
        HttpServletRequest asked = (HttpServletRequest) request;
        if (asked.getMethod().equals("GET") && (asked.getUserPrincipal() != null || lone(app, asked))) {
          show(asked, (HttpServletResponse) response);
        }
        chain.doFilter(request, response);
      }, AuthorizationFilter.class);
    }
    return http;
  }

  private static boolean lone(App app, HttpServletRequest request) {
    return app.csrfOfLogin() && path(request).equals(app.login());
  }

  private static boolean wanted(App app, HttpServletRequest request) {
    if (SAFE.contains(request.getMethod()) || path(request).equals(app.logout())) {
      return false;
    }
    if (path(request).equals(app.login())) {
      return app.csrfOfLogin();
    }
    String referer = request.getHeader("Referer");
    if (referer != null && referer.contains("/swagger-ui")) {
      return false;
    }
    if (!app.csrfOfStrangers()) {
      return request.getSession(false) != null;
    }
    String authorization = request.getHeader("Authorization");
    return authorization == null || !authorization.startsWith("Bearer ");
  }

  /** Puts the CSRF token into the answer's header; Spring sets the cookie where none was sent. */
  private static void show(HttpServletRequest request, HttpServletResponse response) {
    CsrfToken token = (CsrfToken) request.getAttribute(CsrfToken.class.getName());
    response.setHeader(token.getHeaderName(), token.getToken());
  }

  @Bean
  CookieCsrfTokenRepository csrfTokens(App app) {
    CookieCsrfTokenRepository repository = new CookieCsrfTokenRepository();
    repository.setCookieCustomizer(cookie -> cookie.httpOnly(true).sameSite("Lax"));
    if (!app.csrf().isEmpty()) {
      repository.setCookieName(app.csrf());
      repository.setHeaderName(app.csrf());
    }
    return repository;
  }

  @Bean
  UserDetailsService users(PasswordEncoder encoder) {
    return new InMemoryUserDetailsManager(
        User.withUsername("demo").password(encoder.encode("demo")).roles("USER").build());
  }

  /** About 0.1 s each, as the real one takes. */
  @Bean
  PasswordEncoder encoder() {
    return new BCryptPasswordEncoder(10);
  }

  private static BearerTokenResolver bearer(App app) {
    BearerTokenResolver usual = new DefaultBearerTokenResolver();
    return request -> {
      String authorization = request.getHeader("Authorization");
      boolean other = authorization == null || !authorization.startsWith("Bearer ");
      return app.exactScheme() && other ? null : usual.resolve(request);
    };
  }

  private static Map<String, AuthenticationManager> managers(App app, StandIn.Issuers issuers) {
    Function<String, AuthenticationManager> manager = issuer -> {
      AuthenticationManager spring =
          new JwtAuthenticationProvider(new SupplierJwtDecoder(() -> decoder(issuer, app.audience())))::authenticate;
      return app.door() == App.Door.TOKENS ? spring : token -> {
        try {
          return spring.authenticate(token);
        } catch (AuthenticationServiceException unreachable) { // 500, were it left to Spring
          throw new InvalidBearerTokenException("JWKS error", unreachable);
        }
      };
    };
    return issuers.urls().stream().collect(Collectors.toMap(Function.identity(), manager));
  }

  /** Signature, issuer, audience and expiry, without any leeway (observed on 8.6.0). */
  private static NimbusJwtDecoder decoder(String issuer, String audience) {
    NimbusJwtDecoder decoder = NimbusJwtDecoder.withIssuerLocation(issuer)
        .jwsAlgorithms(algorithms -> algorithms.addAll(SIGNATURES))
        // Access tokens may say that they are some (RFC 9068): oidc-provider's do.
        .jwtProcessorCustomizer(processor -> processor.setJWSTypeVerifier(
            new DefaultJOSEObjectTypeVerifier<>(JOSEObjectType.JWT, new JOSEObjectType("at+jwt"), null)))
        .build();
    decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<Jwt>(
        new JwtTimestampValidator(Duration.ZERO),
        new JwtIssuerValidator(issuer),
        new JwtClaimValidator<List<String>>("aud", for_ -> for_ != null && for_.contains(audience))));
    return decoder;
  }

  private static String path(HttpServletRequest request) {
    return request.getRequestURI().substring(request.getContextPath().length());
  }
}
