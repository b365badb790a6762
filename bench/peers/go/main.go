// What one writes in Go instead: the standard library's reverse proxy with x/oauth2 as its transport.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Usage: go-proxy TOKEN_URL CA_FILE LISTEN UPSTREAM [LISTEN UPSTREAM]
func main() {
	pem, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConns, base.MaxIdleConnsPerHost = 0, 256 // two is the default: a connection per request under load
	base.DisableCompression = true
	base.ForceAttemptHTTP2 = false
	base.TLSClientConfig = &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(64)}
	config := clientcredentials.Config{ClientID: "bench", ClientSecret: "bench-secret", TokenURL: os.Args[1]}
	transport := &oauth2.Transport{Source: config.TokenSource(context.Background()), Base: base}
	for i := 3; i < len(os.Args); i += 2 {
		upstream, err := url.Parse(os.Args[i+1])
		if err != nil {
			log.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(upstream)
		proxy.Transport = transport
		go func(address string) { log.Fatal(http.ListenAndServe(address, proxy)) }(os.Args[i])
	}
	select {}
}
