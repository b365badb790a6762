// What one writes in Go today: the standard library's reverse proxy with Rewrite, x/oauth2 as its transport, the
// check of Host by hand, and the standard library's check of requests from other origins (CrossOriginProtection).
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type lane struct {
	Listen       string   `json:"listen"`
	Upstream     string   `json:"upstream"`
	CAFile       string   `json:"ca_file"`
	Token        string   `json:"token"`
	TokenURL     string   `json:"token_url"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	Hosts        []string `json:"hosts"`
	Hasty        bool     `json:"hasty"`
}

// Usage: go-behaviour LANES.json
func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var lanes []lane
	if err := json.Unmarshal(text, &lanes); err != nil {
		log.Fatal(err)
	}
	for _, each := range lanes {
		go func() { log.Fatal(each.server().ListenAndServe()) }()
	}
	select {}
}

func (l lane) server() *http.Server {
	upstream, err := url.Parse(l.Upstream)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport:     l.transport(),
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			if l.injects() {
				r.Out.Header.Del("Cookie")
				r.Out.Header.Del("Authorization")
			}
		},
	}
	protected := http.NewCrossOriginProtection().Handler(proxy)
	server := &http.Server{Addr: l.Listen, Handler: l.named(protected), ReadHeaderTimeout: 10 * time.Second}
	if l.Hasty {
		server.ReadTimeout, server.WriteTimeout = time.Second, 2*time.Second
	}
	return server
}

func (l lane) injects() bool { return l.Token != "" || l.TokenURL != "" }

func (l lane) named(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !slices.Contains(l.Hosts, strings.ToLower(strings.Trim(host, "[]"))) {
			http.Error(w, "no such host here", http.StatusMisdirectedRequest)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (l lane) transport() http.RoundTripper {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 256
	base.DisableCompression = true
	base.ForceAttemptHTTP2 = false
	if pem, err := os.ReadFile(l.CAFile); err == nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		base.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	if l.Hasty {
		base.ResponseHeaderTimeout = time.Second
	}
	switch {
	case l.TokenURL != "":
		config := clientcredentials.Config{ClientID: l.ClientID, ClientSecret: l.ClientSecret, TokenURL: l.TokenURL}
		caller := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: 5 * time.Second})
		return &oauth2.Transport{Source: config.TokenSource(caller), Base: base}
	case l.Token != "":
		return &oauth2.Transport{Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: l.Token}), Base: base}
	}
	return base
}
