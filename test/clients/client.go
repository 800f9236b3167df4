// The shapes of test/e2e/clients.test.ts through Go's net/http: `go run client.go HOST PORT`; one JSON object on stdout.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
)

var base = "http://" + os.Args[1] + ":" + os.Args[2]

func ask(method, path string, body io.Reader) (*http.Response, []byte, error) {
	request, err := http.NewRequest(method, base+path, body)
	if err != nil {
		panic(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response, content, err
}

func must(method, path string, body io.Reader) (*http.Response, []byte) {
	response, content, err := ask(method, path, body)
	if err != nil {
		panic(err)
	}
	return response, content
}

func truncated(path string) bool {
	_, _, err := ask("GET", path, nil)
	return err != nil
}

func main() {
	body := make([]byte, 2_000_000)
	for index := range body {
		body[index] = byte(index % 251)
	}
	_, get := must("GET", "/api/echo?a=1&a=2&b=%20+%2B", nil)
	_, post := must("POST", "/api/echo", bytes.NewReader(body))
	// A reader whose length net/http does not know goes out in chunks.
	_, chunked := must("PUT", "/api/echo", io.MultiReader(bytes.NewReader(body)))
	head, nothing := must("HEAD", "/api/sized", nil)
	packed, unpacked := must("GET", "/api/gzip", nil)
	encoding := "identity"
	if packed.Uncompressed {
		encoding = "gzip"
	}
	_, deleted := must("DELETE", "/api/echo", strings.NewReader("gone"))
	empty, none := must("GET", "/api/empty", nil)
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"get":       json.RawMessage(get),
		"post":      json.RawMessage(post),
		"chunked":   json.RawMessage(chunked),
		"head":      []any{head.StatusCode, head.Header.Get("Content-Length"), len(nothing)},
		"gzip":      []any{encoding, string(unpacked)},
		"deleted":   json.RawMessage(deleted),
		"empty":     []any{empty.StatusCode, len(none)},
		"truncated": []any{truncated("/api/cut-length"), truncated("/api/cut-chunks")},
	})
	if err != nil {
		panic(err)
	}
}
