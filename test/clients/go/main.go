// SPDX-License-Identifier: MIT

// Clients in Go for test/clients: driver KIND URL [TRANSPORT...]
//
// The protocol of a driver is in ../clients.test.mjs. KIND: socketio, ws (coder), gorilla, sse.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
	"github.com/r3labs/sse/v2"
	"github.com/zishang520/socket.io/clients/engine/v3/transports"
	"github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

type fields map[string]any

type order struct {
	Do    string `json:"do"`
	Event string `json:"event"`
	Args  []any  `json:"args"`
	Text  string `json:"text"`
	Size  int    `json:"size"`
}

var lock sync.Mutex

func say(f fields) {
	lock.Lock()
	defer lock.Unlock()
	line, _ := json.Marshal(f)
	os.Stdout.Write(append(line, '\n'))
}

func bytesOf(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 31)
	}
	return b
}

// What is said of bytes: their number and a sum.
func sumOf(b []byte) fields {
	sum := 0
	for i, x := range b {
		sum += int(x) * (i%251 + 1)
	}
	return fields{"size": len(b), "sum": sum}
}

func plain(args []any) []any {
	out := []any{}
	for _, a := range args {
		switch v := a.(type) {
		case []byte:
			out = append(out, sumOf(v))
		case io.Reader:
			b, _ := io.ReadAll(v)
			out = append(out, sumOf(b))
		case func([]any, error):
		default:
			out = append(out, v)
		}
	}
	return out
}

// Calls fn for each line of standard input.
func orders(fn func(order)) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		var o order
		if err != nil || json.Unmarshal(line, &o) != nil || o.Do == "close" {
			return
		}
		fn(o)
	}
}

func socketIO(url string, names []string) {
	opts := socket.DefaultOptions()
	set := types.NewSet[transports.TransportCtor]()
	for _, name := range names {
		if name == "polling" {
			set.Add(transports.Polling)
		} else {
			set.Add(transports.WebSocket)
		}
	}
	opts.SetTransports(set)
	opts.SetReconnectionDelay(200)
	opts.SetReconnectionDelayMax(1000)
	s := socket.NewManager(url, opts).Socket("/", nil)
	s.On("connect", func(...any) { say(fields{"state": "connected"}) })
	s.On("disconnect", func(...any) { say(fields{"state": "disconnected"}) })
	s.OnAny(func(args ...any) { say(fields{"got": args[0], "args": plain(args[1:])}) })
	orders(func(o order) {
		switch o.Do {
		case "bytes":
			s.Emit("bytes", bytesOf(o.Size))
		case "emit":
			s.Emit(o.Event, o.Args...)
		default:
			s.EmitWithAck(o.Event, o.Args...)(func(args []any, err error) {
				say(fields{"ack": plain(args)})
			})
		}
	})
	s.Disconnect()
}

// A connection of either WebSocket library.
type conn interface {
	read() (binary bool, data []byte, err error)
	write(binary bool, data []byte) error
}

type coderConn struct{ c *coder.Conn }

func (c coderConn) read() (bool, []byte, error) {
	kind, data, err := c.c.Read(context.Background())
	return kind == coder.MessageBinary, data, err
}

func (c coderConn) write(binary bool, data []byte) error {
	kind := coder.MessageText
	if binary {
		kind = coder.MessageBinary
	}
	return c.c.Write(context.Background(), kind, data)
}

type gorillaConn struct{ c *websocket.Conn }

func (c gorillaConn) read() (bool, []byte, error) {
	kind, data, err := c.c.ReadMessage()
	return kind == websocket.BinaryMessage, data, err
}

func (c gorillaConn) write(binary bool, data []byte) error {
	kind := websocket.TextMessage
	if binary {
		kind = websocket.BinaryMessage
	}
	return c.c.WriteMessage(kind, data)
}

func dialCoder(url string) (conn, error) {
	c, _, err := coder.Dial(context.Background(), url, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(1 << 24)
	return coderConn{c}, nil
}

func dialGorilla(url string) (conn, error) {
	c, _, err := websocket.DefaultDialer.Dial(url, nil)
	return gorillaConn{c}, err
}

// These libraries leave reconnection to their users.
func plainWebSocket(url string, dial func(string) (conn, error)) {
	var current conn
	var mutex sync.Mutex
	go func() {
		for ; ; time.Sleep(200 * time.Millisecond) {
			c, err := dial(url)
			if err != nil {
				continue
			}
			mutex.Lock()
			current = c
			mutex.Unlock()
			say(fields{"state": "connected"})
			for {
				binary, data, err := c.read()
				if err != nil {
					break
				}
				var message any = string(data)
				if binary {
					message = sumOf(data)
				}
				say(fields{"got": "message", "args": []any{message}})
			}
			say(fields{"state": "disconnected"})
		}
	}()
	orders(func(o order) {
		mutex.Lock()
		defer mutex.Unlock()
		if o.Do == "bytes" {
			current.write(true, bytesOf(o.Size))
		} else {
			current.write(false, []byte(o.Text))
		}
	})
}

func eventSource(url string) {
	client := sse.NewClient(url, sse.ClientMaxBufferSize(1<<24))
	client.ResponseValidator = func(_ *sse.Client, res *http.Response) error {
		if res.StatusCode != 200 {
			return errors.New(res.Status)
		}
		say(fields{"state": "connected"})
		return nil
	}
	// A stream that ends without an error ends the subscription.
	go func() {
		for ; ; time.Sleep(200 * time.Millisecond) {
			client.SubscribeRaw(func(e *sse.Event) {
				name := string(e.Event)
				if name == "" {
					name = "message"
				}
				if e.Data != nil {
					say(fields{"got": name, "args": []any{string(e.Data)}})
				}
			})
			say(fields{"state": "disconnected"})
		}
	}()
	orders(func(order) {})
}

func main() {
	kind, url := os.Args[1], os.Args[2]
	switch kind {
	case "socketio":
		socketIO(url, os.Args[3:])
	case "ws":
		plainWebSocket(url, dialCoder)
	case "gorilla":
		plainWebSocket(url, dialGorilla)
	case "sse":
		eventSource(url)
	}
}
