// Go's own reverse proxy behind a prefix, with the header that an injector would add.
package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	upstream, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	// The default of two idle connections would open one for nearly every request.
	proxy.Transport = &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 256, DisableCompression: true}
	direct := proxy.Director
	authorization := "Bearer " + os.Args[2]
	proxy.Director = func(request *http.Request) {
		direct(request)
		request.Header.Set("Authorization", authorization)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, http.StripPrefix("/api", proxy)))
}
