package standin;

import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** What a browser is shown: a page for every path that has one, and a way to it. */
@RestController
class Pages {
  private static final String PAGE = "<!doctype html><html><head><title>Camunda</title></head><body></body></html>";

  private final App app;

  Pages(App app) {
    this.app = app;
  }

  /** Operate of 8.6 moves it (observed), the newest line answers programs with 204 (8.10's release notes). */
  @GetMapping("/login")
  ResponseEntity<String> login() {
    if (app.name().equals("operate")) {
      return ResponseEntity.status(302).header("Location", "/operate/login").build();
    }
    return app.csrfOfLogin() ? ResponseEntity.noContent().build() : page();
  }

  @GetMapping({"/", "/operate", "/tasklist"})
  ResponseEntity<String> page() {
    return ResponseEntity.ok().contentType(MediaType.TEXT_HTML).body(PAGE);
  }
}
