// witness is what the cluster's own tests run in pods: it tells what a container can see and do.
//
//	witness serve              answer HTTP on port 8080, until told to stop
//	witness fetch URL          print what the URL answers
//	witness lookup NAME        print the addresses of a host name
//	witness read FILE          print a file
//	witness write FILE TEXT    write a file
//	witness print NAME         print an environment variable
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	arguments := append(os.Args[1:], "", "", "")
	said, err := testify(arguments[0], arguments[1], arguments[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
	fmt.Println(said)
}

func testify(verb, object, text string) (string, error) {
	switch verb {
	case "serve":
		return "stopped", serve()
	case "fetch":
		return fetch(object)
	case "lookup":
		addresses, err := net.LookupHost(object)
		return strings.Join(addresses, " "), err
	case "read":
		content, err := os.ReadFile(object)
		return string(content), err
	case "write":
		return "written", os.WriteFile(object, []byte(text), 0o600)
	case "print":
		return os.Getenv(object), nil
	default:
		return "", fmt.Errorf("unknown verb %q", verb)
	}
}

func serve() error {
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		name, _ := os.Hostname()
		fmt.Println("asked for", request.URL.Path)
		fmt.Fprint(response, "hello from ", name)
	})}
	fmt.Println("serving")
	go func() {
		<-stopped.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func fetch(url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
