// A program that reads its configuration at its start and again at SIGHUP.
//
// app FILE ADDRESS
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// What the file holds.
type settings struct {
	Greeting string `json:"greeting"`
	Limit    int    `json:"limit"`
}

// The one in use, and how many were taken.
type loaded struct {
	settings settings
	loads    int
}

func parse(text []byte) (settings, error) {
	var parsed settings
	if err := json.Unmarshal(text, &parsed); err != nil {
		return parsed, err
	}
	if parsed.Greeting == "" || parsed.Limit < 1 {
		return parsed, errors.New("greeting is missing, or limit is below 1")
	}
	return parsed, nil
}

func main() {
	file, address := os.Args[1], os.Args[2]
	var current atomic.Pointer[loaded]
	load := func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := parse(text)
		if err != nil {
			return err
		}
		loads := 1
		if before := current.Load(); before != nil {
			loads = before.loads + 1
		}
		current.Store(&loaded{parsed, loads})
		return nil
	}

	// Asked for before anything that takes time: until then SIGHUP ends a program in Go.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	if err := load(); err != nil {
		log.Fatal(err)
	}
	go func() {
		for range hangups {
			if err := load(); err != nil {
				log.Printf("the file is refused and the one before stays: %v", err)
			}
		}
	}()

	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, current.Load().settings.Greeting)
	})
	// What Rehup asks whether the program is ready, and whether a reload worked.
	http.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"loads": %d}`, current.Load().loads)
	})
	// What Rehup asks before it shows a new file to anybody.
	http.HandleFunc("POST /check", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = parse(text)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe(address, nil))
}
