package standin;

import java.util.List;

/**
 * One web application of one Camunda release: the facts that Spring does not bring by itself.
 *
 * @param name how tests call it
 * @param door who is let in, and how
 * @param path of everything, as a servlet's context path; empty for most
 * @param audience that tokens must be for; empty where no token is taken
 * @param cookie name of the session cookie
 * @param csrf name of the CSRF cookie and of its header alike; empty where there are no sessions
 * @param login path of the login; it takes a form, by POST
 * @param csrfOfStrangers CSRF is asked of requests without a session, too (Operate); else of live sessions alone
 * @param csrfOfLogin the login itself wants a CSRF token, which GET on its path brings
 * @param exactScheme the scheme must be spelled `Bearer`
 * @param textKeys keys are text (8.7 and later), else numbers; the key of a job is then named `jobKey`, not `key`
 */
record App(
    String name,
    Door door,
    String path,
    String audience,
    String cookie,
    String csrf,
    String login,
    boolean csrfOfStrangers,
    boolean csrfOfLogin,
    boolean exactScheme,
    boolean textKeys) {

  /** Whom an application lets in. */
  enum Door {
    /** Tokens; every refusal is 401 problem+json without a challenge (the engine of 8.6, observed on 8.6.0). */
    ENGINE,
    /** Tokens; a bad one is 403 with a bare Bearer challenge (Operate of 8.6, observed on 8.6.0). */
    OPERATE,
    /** Tokens; Spring's own challenge with a body of problem+json (8.8 and later). */
    TOKENS,
    /** HTTP Basic as Spring does it by itself (profile `auth-basic` of 8.6, observed on 8.6.0). */
    BASIC,
    /** A form login and cookie sessions; 401 says `{"message":""}` (8.6, observed on 8.6.0). */
    SESSION,
    /** Both of these two; 401 is problem+json without a challenge (8.8's documentation and release notes). */
    CLUSTER;

    boolean tokens() {
      return this == ENGINE || this == OPERATE || this == TOKENS;
    }

    boolean sessions() {
      return this == SESSION || this == CLUSTER;
    }
  }

  /**
   * The table. 8.6: what a real 8.6.0 answered. 8.7: the same code line, its documentation. 8.8 and later: the
   * documentation of the Orchestration Cluster, its release notes, and what was tried (docs/credentials.md).
   */
  static List<App> of(String release) {
    boolean text = !release.equals("8.6");
    return switch (release) {
      case "8.6", "8.7" -> List.of(
          tokens("zeebe", Door.ENGINE, "zeebe-api", "", true, text),
          tokens("operate-tokens", Door.OPERATE, "operate-api", "X-CSRF-TOKEN", false, text),
          session("operate", "OPERATE-SESSION", true, text),
          session("tasklist", "TASKLIST-SESSION", false, text),
          new App("basic", Door.BASIC, "", "", "JSESSIONID", "", "", false, false, false, text));
      case "8.8", "8.9" -> List.of(
          tokens("zeebe", Door.TOKENS, "zeebe-api", "", false, text),
          cluster("cluster", "", false));
      case "8.10" -> List.of(
          tokens("zeebe", Door.TOKENS, "zeebe-api", "", false, text),
          cluster("cluster", "", true),
          // One application each: a session cookie of its own, for its own path.
          cluster("tenant", "/physical-tenants/acme", true));
      default -> throw new IllegalArgumentException("no such release: " + release);
    };
  }

  private static App tokens(
      String name, Door door, String audience, String csrf, boolean exactScheme, boolean textKeys) {
    return new App(name, door, "", audience, "OPERATE-SESSION", csrf, "", true, false, exactScheme, textKeys);
  }

  private static App session(String name, String cookie, boolean csrfOfStrangers, boolean textKeys) {
    return new App(
        name, Door.SESSION, "", "", cookie, "X-CSRF-TOKEN", "/api/login", csrfOfStrangers, false, false, textKeys);
  }

  private static App cluster(String name, String path, boolean csrfOfLogin) {
    return new App(
        name, Door.CLUSTER, path, "", "camunda-session", "X-CSRF-TOKEN", "/login", false, csrfOfLogin, false, true);
  }

  String logout() {
    return login.replace("login", "logout");
  }
}
