// Gorilla's WebSocket: `gorilla echo|broadcast PORT`, with the buffers that its documentation
// takes as an example, and for broadcasts a prepared message and a writer for each connection, as
// its chat example has.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize:  4096,
	WriteBufferSize: 4096,
	CheckOrigin:     func(*http.Request) bool { return true },
}

var (
	mutex     sync.Mutex
	receivers = map[chan *websocket.PreparedMessage]*websocket.Conn{}
)

func echo(conn *websocket.Conn) {
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func broadcast(conn *websocket.Conn) {
	outgoing := make(chan *websocket.PreparedMessage, 1024)
	mutex.Lock()
	receivers[outgoing] = conn
	mutex.Unlock()
	go func() {
		for message := range outgoing {
			if conn.WritePreparedMessage(message) != nil {
				conn.Close()
			}
		}
	}()
	defer func() {
		mutex.Lock()
		delete(receivers, outgoing)
		close(outgoing)
		mutex.Unlock()
	}()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, message)
		if err != nil {
			return
		}
		mutex.Lock()
		if len(message) > 7 && message[7] == 'E' {
			// Whoever asks for an echo is broadcast to no more.
			delete(receivers, outgoing)
			outgoing <- prepared
		} else {
			for receiver, lagging := range receivers {
				select {
				case receiver <- prepared:
				default:
					lagging.Close()
				}
			}
		}
		mutex.Unlock()
	}
}

func main() {
	serve := map[string]func(*websocket.Conn){"echo": echo, "broadcast": broadcast}[os.Args[1]]
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil || serve == nil {
		log.Fatal("usage: gorilla echo|broadcast PORT: ", err)
	}
	fmt.Printf("listening on ws://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	})))
}
