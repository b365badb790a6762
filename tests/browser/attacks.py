"""What pages do to reach a port that is not theirs, and where such pages stand."""

from dataclasses import dataclass
from typing import Literal

# Runs before each attack, in the page that attacks. An attack that no event ends would wait for its answer on
# the wire alone; the limit is there so that none hangs.
TOOLS = """
const ended = (thing, ...names) => new Promise(done => {
  for (const name of names) thing.addEventListener(name, () => done(name));
  setTimeout(done, 10000, 'no event');
});
const put = async (tag, fields) => {
  const element = Object.assign(document.createElement(tag), fields);
  const event = ended(element, 'load', 'error', 'loadeddata');
  document.body.append(element);
  await event;
  return element;
};
const form = (fields) => {
  const sent = Object.assign(document.createElement('form'), {method: 'POST', action: url, ...fields});
  sent.append(Object.assign(document.createElement('input'), {name: '{"a":"', value: '"}'}));
  document.body.append(sent);
  return sent;
};
const later = (act) => { setTimeout(act); return 'on its way'; };
const inside = (frame) => {
  try { return frame.document.documentElement.innerText; } catch (e) { return e.name; }
};
const rules = (what) => {
  const script = document.createElement('script');
  script.type = 'speculationrules';
  script.textContent = JSON.stringify({[what]: [{urls: [url], eagerness: 'immediate'}]});
  document.head.append(script);
  return 'on its way';
};
const away = (status) => `${location.origin}/redirect?status=${status}&to=${encodeURIComponent(url)}`;
"""

Reads = Literal["always", "of its own origin", "never"]


@dataclass(frozen=True)
class Page:
    """Where an attacker's page stands.

    Attributes:
        host: of its address.
        frame: how its frame is made, whose origin is `null`.
        refusal: the status with which its requests are answered.
    """

    name: str
    host: str
    frame: str = ""
    refusal: int = 403
    rebound: bool = False


ELSEWHERE = Page("another site", "attacker.example")
NEIGHBOUR = Page("another port of the same host", "localhost")
REBOUND = Page("a rebound name", "rebound.example", refusal=421, rebound=True)
SANDBOX = Page(
    "a sandboxed frame",
    "attacker.example",
    "frame.sandbox = 'allow-scripts allow-forms allow-popups allow-downloads'; frame.srcdoc = html;",
)
DATA = Page("a data: frame", "attacker.example", "frame.src = 'data:text/html,' + encodeURIComponent(html);")
PAGES = (ELSEWHERE, NEIGHBOUR, REBOUND, SANDBOX, DATA)
WITH_A_SERVER = (ELSEWHERE, NEIGHBOUR)
SECURE = (NEIGHBOUR,)  # to a browser, a page on localhost counts as one of https


@dataclass(frozen=True)
class Attack:
    """One way.

    Attributes:
        script: body of an asynchronous function of `url`; returns what the page got.
        kind: what the stand-in shall answer.
        reads: whether a page gets the content of a server that lets it.
        pages: from where Chromium sends it at all.
    """

    name: str
    script: str
    kind: str = "text"
    reads: Reads = "never"
    pages: tuple[Page, ...] = PAGES


TEXT = ".then(answer => answer.text())"
ATTACKS = (
    Attack("fetch no-cors", f"return fetch(url, {{mode: 'no-cors'}}){TEXT}", reads="of its own origin"),
    Attack(
        "fetch no-cors POST",
        f"return fetch(url, {{mode: 'no-cors', method: 'POST', body: '{{}}'}}){TEXT}",
        reads="of its own origin",
    ),
    Attack("fetch cors", f"return fetch(url){TEXT}", reads="always"),
    Attack("fetch keepalive", f"return fetch(url, {{keepalive: true}}){TEXT}", reads="always"),
    Attack(
        "fetch JSON POST",
        "return fetch(url, {method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}})"
        + TEXT,
        reads="always",
    ),
    Attack("fetch with a field", f"return fetch(url, {{headers: {{'X-Mine': '1'}}}}){TEXT}", reads="always"),
    Attack("fetch DELETE", f"return fetch(url, {{method: 'DELETE'}}){TEXT}", reads="always"),
    Attack("fetch redirected", f"return fetch(away(302)){TEXT}", reads="always", pages=WITH_A_SERVER),
    Attack(
        "fetch in a worker",
        """
        const code = `fetch('${url}').then(answer => answer.text()).catch(String).then(postMessage)`;
        const worker = new Worker(URL.createObjectURL(new Blob([code])));
        return new Promise(done => { worker.onmessage = message => done(message.data); });
        """,
        reads="always",
    ),
    Attack(
        "XMLHttpRequest",
        """
        const request = new XMLHttpRequest();
        request.open('GET', url);
        request.send();
        await ended(request, 'loadend');
        return request.responseText;
        """,
        reads="always",
    ),
    Attack("sendBeacon", "return navigator.sendBeacon(url, '{}')"),
    Attack(
        "ping",
        "return later(() => Object.assign(document.createElement('a'), {ping: url, href: '#'}).click())",
    ),
    Attack("form POST", "return later(() => form({}).submit())"),
    Attack("form POST as text", "return later(() => form({enctype: 'text/plain'}).submit())"),
    Attack(
        "form POST redirected", "return later(() => form({action: away(307)}).submit())", pages=WITH_A_SERVER
    ),
    Attack("form POST into a window", "return later(() => form({target: '_blank'}).submit())"),
    Attack(
        "form POST into a frame",
        """
        const frame = await put('iframe', {name: 'there'});
        const loaded = ended(frame, 'load');
        form({target: 'there'}).submit();
        await loaded;
        return inside(frame.contentWindow);
        """,
        reads="of its own origin",
    ),
    Attack("image", "return (await put('img', {src: url})).naturalWidth", "image"),
    Attack(
        "image redirected",
        "return (await put('img', {src: away(302)})).naturalWidth",
        "image",
        pages=WITH_A_SERVER,
    ),
    Attack("script", "await put('script', {src: url}); return globalThis.stolen", "script", "always"),
    Attack("module", "await import(url); return globalThis.stolen", "script", "always"),
    Attack(
        "stylesheet",
        """
        await put('link', {rel: 'stylesheet', href: url});
        return getComputedStyle(document.documentElement).getPropertyValue('--stolen');
        """,
        "style",
        "always",
    ),
    Attack("font", "return new FontFace('x', `url(${url})`).load().then(() => 'loaded')"),
    Attack(
        "icon",
        "document.querySelector('link').href = url; return 'on its way'",
        pages=(ELSEWHERE, NEIGHBOUR, REBOUND),
    ),
    Attack("video", "return (await put('video', {src: url})).duration"),
    Attack(
        "iframe", "return inside((await put('iframe', {src: url})).contentWindow)", reads="of its own origin"
    ),
    Attack(
        "object", "return inside((await put('object', {data: url})).contentWindow)", reads="of its own origin"
    ),
    Attack("embed", "return String(await put('embed', {src: url, type: 'text/html'}))"),
    Attack("location", "return later(() => { location = url; })"),
    Attack("location redirected", "return later(() => { location = away(302); })", pages=WITH_A_SERVER),
    Attack(
        "meta refresh",
        """
        const content = `0;url=${url}`;
        return later(() => put('meta', {httpEquiv: 'refresh', content}));
        """,
    ),
    Attack(
        "going back",
        """
        const frame = await put('iframe', {src: url});
        await new Promise(done => setTimeout(done));  // within its load event, the next would take its place
        const next = ended(frame, 'load');
        frame.src = away(302).replace(encodeURIComponent(url), '/');
        await next;
        const again = ended(frame, 'load');
        history.back();
        await again;
        return inside(frame.contentWindow);
        """,
        pages=WITH_A_SERVER,
    ),
    Attack("window.open", "return later(() => window.open(url))"),
    Attack(
        "download",
        "return later(() => Object.assign(document.createElement('a'), {href: url, download: 'x'}).click())",
    ),
    Attack("link prefetch", "return String(await put('link', {rel: 'prefetch', href: url}))"),
    Attack("link preload", "return String(await put('link', {rel: 'preload', as: 'script', href: url}))"),
    # from no frame, and towards no name but localhost's own without https
    Attack("speculative prefetch", "return rules('prefetch')", pages=(ELSEWHERE, NEIGHBOUR)),
    Attack("speculative prerender", "return rules('prerender')", pages=(ELSEWHERE, NEIGHBOUR)),
    Attack(
        "policy report",
        "return String(await put('iframe', {src: `/reporting?to=${encodeURIComponent(url)}`}))",
        pages=WITH_A_SERVER,
    ),
    Attack(
        "fetchLater",
        "return String(fetchLater(url, {method: 'POST', body: '{}', activateAfter: 0}))",
        pages=SECURE,
    ),
    Attack(
        "dictionary",
        "return later(() => put('link', {rel: 'compression-dictionary', href: url}))",
        pages=SECURE,
    ),
    Attack(
        "EventSource",
        """
        const source = new EventSource(url);
        return new Promise(done => {
          source.onmessage = message => { source.close(); done(message.data); };
          source.onerror = () => { source.close(); done('error'); };
        });
        """,
        "events",
        "always",
    ),
    Attack(
        "WebSocket",
        """
        const socket = new WebSocket(url.replace('http:', 'ws:'));
        return new Promise(done => {
          socket.onmessage = message => done(message.data);
          socket.onclose = () => done('closed');
        });
        """,
        reads="always",
    ),
)
CASES = tuple((page, attack) for attack in ATTACKS for page in attack.pages)


def in_page(page: Page, script: str, url: str) -> str:
    """The body of a function for the page's top document that makes the attack from where `page` says."""
    call = f"(async () => {{ const url = '{url}'; {TOOLS} {script} }})().then(String, e => e.name)"
    if not page.frame:
        return f"return {call}"
    code = f"{call}.then(got => parent.postMessage(got, '*'))"
    html = f"<!DOCTYPE html><body><script>{code}</script></body>"
    return f"""
        const html = {js_string(html)};
        const got = new Promise(done => addEventListener('message', message => done(message.data)));
        const frame = document.createElement('iframe');
        {page.frame}
        document.body.append(frame);
        return got;
    """


def js_string(text: str) -> str:
    return (
        "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("</", "<\\/") + "'"
    )
