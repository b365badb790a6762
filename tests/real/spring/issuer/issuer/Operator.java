package issuer;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

/** What an operator changes while it runs, and the keys that the client `signed` publishes. */
@RestController
class Operator {
  private final RegisteredClientRepository clients;
  private final Tokens.Keys keys;
  private final String certificate;

  Operator(RegisteredClientRepository clients, Tokens.Keys keys, @Value("${certificate}") String certificate) {
    this.clients = clients;
    this.keys = keys;
    this.certificate = certificate;
  }

  @PutMapping("/operator/clients/{id}")
  void setSecret(@PathVariable String id, @RequestBody String secret) {
    clients.save(RegisteredClient.from(clients.findByClientId(id)).clientSecret("{noop}" + secret).build());
  }

  @PostMapping("/operator/keys")
  void rotateKeys() {
    keys.next();
  }

  @GetMapping("/keys")
  Map<String, Object> published() throws IOException, JOSEException {
    return new JWKSet(JWK.parseFromPEMEncodedX509Cert(Files.readString(Path.of(certificate)))).toJSONObject();
  }
}
