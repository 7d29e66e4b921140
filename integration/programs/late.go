// A program in Go that reloads on SIGHUP, as many do: its runtime takes every signal before main
// begins, and a signal that nobody has asked for yet ends it.
//
// late MILLISECONDS LOG ADDRESS: after so long it asks for SIGHUP, then answers at ADDRESS that it
// is ready. One byte in LOG for each delivery.
package main

import (
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	late, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	log, err := os.OpenFile(os.Args[2], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Duration(late) * time.Millisecond)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			if _, err := log.WriteString("h"); err != nil {
				panic(err)
			}
		}
	}()
	listener, err := net.Listen("tcp", os.Args[3])
	if err != nil {
		panic(err)
	}
	for {
		caller, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		caller.Read(make([]byte, 4096))
		caller.Write([]byte("HTTP/1.1 204 Ready\r\nconnection: close\r\n\r\n"))
		caller.Close()
	}
}
