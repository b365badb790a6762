// Sends the requests that stdin names, one line each, with Go's net/http, and prints one line for each answer.
// test_http_clients.py describes both lines.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute // after its default of 1 s Go sends the body all the same
	client := &http.Client{Transport: transport}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := send(client, strings.Fields(lines.Text()))
		if err != nil {
			answer = "0\t-\t" + err.Error()
		}
		fmt.Println(answer)
	}
}

func send(client *http.Client, words []string) (string, error) {
	size, err := strconv.Atoi(words[2])
	if err != nil {
		return "", err
	}
	has := map[string]bool{}
	for _, word := range words[3:] {
		has[word] = true
	}
	request, err := http.NewRequest(words[0], words[1], body(size, has["chunks"]))
	if err != nil {
		return "", err
	}
	if has["expect"] {
		request.Header.Set("Expect", "100-continue")
	}
	if has["origin"] {
		request.Header.Set("Origin", "http://elsewhere.example")
	}
	if has["offer"] {
		request.Header.Set("Connection", "Upgrade, HTTP2-Settings")
		request.Header.Set("Upgrade", "h2c")
		request.Header.Set("HTTP2-Settings", "AAMAAABkAAQAAP__")
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	one := strings.Join(strings.Fields(string(text)), " ")
	return fmt.Sprintf("%d\t%s\t%s", response.StatusCode, response.Header.Get("Content-Type"), one), nil
}

func body(size int, chunks bool) io.Reader {
	if size == 0 {
		return nil
	}
	made := make([]byte, size)
	for i := range made {
		made[i] = byte('a' + i%26)
	}
	if chunks {
		return struct{ io.Reader }{bytes.NewReader(made)} // its length cannot be seen
	}
	return bytes.NewReader(made)
}
