package issuer;

import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;

/** Who may ask for tokens: each may do so in one way. */
@Configuration(proxyBeanMethods = false)
class Clients {
  @Bean
  RegisteredClientRepository repository(@Value("${plain.port}") int port) {
    ClientSettings.Builder signed = ClientSettings.builder()
        .jwkSetUrl("http://127.0.0.1:" + port + "/keys")
        .tokenEndpointAuthenticationSigningAlgorithm(SignatureAlgorithm.RS256);
    ClientSettings.Builder certified = ClientSettings.builder().x509CertificateSubjectDN("CN=signed");
    return new InMemoryRegisteredClientRepository(
        posting("orchestration", 300),
        posting("rotated", 36),
        posting("short-lived", 20),
        client("odd:client +%", ClientAuthenticationMethod.CLIENT_SECRET_BASIC, 300)
            .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_POST)
            .clientSecret("{noop}p:a s+s%20&=\u00e9").build(),
        client("signed", ClientAuthenticationMethod.PRIVATE_KEY_JWT, 300).clientSettings(signed.build()).build(),
        client("tls", ClientAuthenticationMethod.TLS_CLIENT_AUTH, 300).clientSettings(certified.build()).build(),
        ofPersons("device").authorizationGrantType(AuthorizationGrantType.DEVICE_CODE).build(),
        ofPersons("person").authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE)
            .redirectUri("http://127.0.0.1/callback").scope("openid").build());
  }

  /** Of persons who log in and allow it. Without a secret they would get no refresh token. */
  private static RegisteredClient.Builder ofPersons(String id) {
    return RegisteredClient.withId(id).clientId(id).clientSecret("{noop}secret-of-" + id)
        .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_POST)
        .authorizationGrantType(AuthorizationGrantType.REFRESH_TOKEN)
        .scope("read")
        .clientSettings(ClientSettings.builder().requireAuthorizationConsent(true).requireProofKey(true).build())
        .tokenSettings(TokenSettings.builder().accessTokenTimeToLive(Duration.ofSeconds(10))
            .reuseRefreshTokens(false).build());
  }

  /** Secrets must differ from client to client. */
  private static RegisteredClient posting(String id, int seconds) {
    return client(id, ClientAuthenticationMethod.CLIENT_SECRET_POST, seconds)
        .clientSecret("{noop}secret-of-" + id).build();
  }

  private static RegisteredClient.Builder client(String id, ClientAuthenticationMethod method, int seconds) {
    return RegisteredClient.withId(id).clientId(id).clientAuthenticationMethod(method)
        .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
        .tokenSettings(TokenSettings.builder().accessTokenTimeToLive(Duration.ofSeconds(seconds)).build());
  }
}
