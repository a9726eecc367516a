// The official client, centrifuge-go, against a gateway: prints one JSON line a check and ends with how many.
// usage: checks WEBSOCKET-URL HTTP-URL API-KEY json|protobuf; tokens come in the environment.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

const patience = 10 * time.Second

var (
	websocket, server, key, form = os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	room                         = "open:go-" + form
	tokens                       map[string]string
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal[T comparable](seen, expected T) {
	if seen != expected {
		panic(fmt.Sprintf("%v is not %v", seen, expected))
	}
}

func api(method string, body map[string]any) {
	encoded, err := json.Marshal(body)
	must(err)
	request, err := http.NewRequest("POST", server+"/api/"+method, bytes.NewReader(encoded))
	must(err)
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	must(err)
	defer response.Body.Close()
	var answer struct{ Result, Error json.RawMessage }
	must(json.NewDecoder(response.Body).Decode(&answer))
	equal(string(answer.Error), "")
}

// wait returns what comes next.
func wait[T any](events chan T) T {
	select {
	case event := <-events:
		return event
	case <-time.After(patience):
		panic(fmt.Sprintf("nothing came of %T", events))
	}
}

func newClient(config centrifuge.Config) *centrifuge.Client {
	config.MinReconnectDelay = 50 * time.Millisecond
	if form == "protobuf" {
		return centrifuge.NewProtobufClient(websocket, config)
	}
	return centrifuge.NewJsonClient(websocket, config)
}

func connected(config centrifuge.Config) *centrifuge.Client {
	client := newClient(config)
	up := make(chan centrifuge.ConnectedEvent, 10)
	client.OnConnected(func(event centrifuge.ConnectedEvent) { up <- event })
	must(client.Connect())
	wait(up)
	return client
}

type listener struct {
	*centrifuge.Subscription
	published  chan centrifuge.PublicationEvent
	subscribed chan centrifuge.SubscribedEvent
}

func subscribed(client *centrifuge.Client, channel string) listener {
	subscription, err := client.NewSubscription(channel)
	must(err)
	heard := listener{subscription, make(chan centrifuge.PublicationEvent, 10), make(chan centrifuge.SubscribedEvent, 10)}
	subscription.OnPublication(func(event centrifuge.PublicationEvent) { heard.published <- event })
	subscription.OnSubscribed(func(event centrifuge.SubscribedEvent) { heard.subscribed <- event })
	must(subscription.Subscribe())
	wait(heard.subscribed)
	return heard
}

func code(err error) uint32 {
	var refused *centrifuge.Error
	if !errors.As(err, &refused) {
		panic(fmt.Sprintf("no refusal: %v", err))
	}
	return refused.Code
}

func alice() *centrifuge.Client { return connected(centrifuge.Config{Token: tokens["alice"]}) }

var checks = []struct {
	name  string
	check func(context.Context)
}{
	{"a push arrives as a server-side publication", func(ctx context.Context) {
		client := newClient(centrifuge.Config{Token: tokens["alice"]})
		defer client.Close()
		up, published := make(chan centrifuge.ServerSubscribedEvent, 10), make(chan centrifuge.ServerPublicationEvent, 10)
		client.OnSubscribed(func(event centrifuge.ServerSubscribedEvent) { up <- event })
		client.OnPublication(func(event centrifuge.ServerPublicationEvent) { published <- event })
		must(client.Connect())
		wait(up)
		api("push", map[string]any{"user": "alice", "type": "report/ready", "payload": 7})
		event := wait(published)
		equal(event.Channel, "#alice")
		equal(string(event.Data), `{"type":"report/ready","payload":7}`)
	}},
	{"subscribe, publish, history, presence and statistics", func(ctx context.Context) {
		client := alice()
		defer client.Close()
		heard := subscribed(client, room)
		_, err := heard.Publish(ctx, []byte(`{"n": 1}`))
		must(err)
		event := wait(heard.published)
		equal(string(event.Data), `{"n": 1}`)
		equal(event.Offset, 1)
		equal(event.Info.User, "alice")
		history, err := heard.History(ctx, centrifuge.WithHistoryLimit(10))
		must(err)
		equal(len(history.Publications), 1)
		equal(string(history.Publications[0].Data), `{"n": 1}`)
		presence, err := heard.Presence(ctx)
		must(err)
		equal(len(presence.Clients), 1)
		statistics, err := heard.PresenceStats(ctx)
		must(err)
		equal(statistics.NumClients, 1)
		equal(statistics.NumUsers, 1)
	}},
	{"what was published while away is recovered, in order", func(ctx context.Context) {
		client := alice()
		defer client.Close()
		heard := subscribed(client, room+"-away")
		api("publish", map[string]any{"channel": room + "-away", "data": 0})
		equal(string(wait(heard.published).Data), "0")
		away := make(chan centrifuge.ConnectingEvent, 10)
		client.OnConnecting(func(event centrifuge.ConnectingEvent) { away <- event })
		reason := map[string]any{"code": 3011, "reason": "force reconnect"}
		api("disconnect", map[string]any{"user": "alice", "disconnect": reason})
		equal(wait(away).Code, 3011)
		for n := 1; n < 5; n++ {
			api("publish", map[string]any{"channel": room + "-away", "data": n})
		}
		equal(wait(heard.subscribed).Recovered, true)
		for n := 1; n < 5; n++ {
			equal(string(wait(heard.published).Data), fmt.Sprint(n))
		}
	}},
	{"an expired token is fetched anew", func(ctx context.Context) {
		asked := 0
		getToken := func(centrifuge.ConnectionTokenEvent) (string, error) { asked++; return tokens["alice"], nil }
		client := connected(centrifuge.Config{Token: tokens["expired"], GetToken: getToken})
		defer client.Close()
		equal(asked, 1)
	}},
	{"a bad token is final", func(ctx context.Context) {
		client := newClient(centrifuge.Config{Token: "nonsense"})
		defer client.Close()
		down := make(chan centrifuge.DisconnectedEvent, 10)
		client.OnDisconnected(func(event centrifuge.DisconnectedEvent) { down <- event })
		must(client.Connect())
		equal(wait(down).Code, 3500)
	}},
	{"what is not allowed is refused with its code", func(ctx context.Context) {
		client := alice()
		defer client.Close()
		_, err := client.RPC(ctx, "method", []byte("{}"))
		equal(code(err), 108)
		_, err = client.Publish(ctx, "#bob", []byte("{}"))
		equal(code(err), 103)
		foreign, err := client.NewSubscription("#bob")
		must(err)
		down := make(chan centrifuge.UnsubscribedEvent, 10)
		foreign.OnUnsubscribed(func(event centrifuge.UnsubscribedEvent) { down <- event })
		must(foreign.Subscribe())
		equal(wait(down).Code, 103)
	}},
}

func main() {
	must(json.Unmarshal([]byte(os.Getenv("TOKENS")), &tokens))
	if form == "protobuf" {
		checks = append(checks, struct {
			name  string
			check func(context.Context)
		}{"bytes that are no JSON arrive as they were", func(ctx context.Context) {
			client := alice()
			defer client.Close()
			heard := subscribed(client, room+"-bytes")
			_, err := heard.Publish(ctx, []byte{0, 255})
			must(err)
			equal(string(wait(heard.published).Data), string([]byte{0, 255}))
		}})
	}
	for _, each := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		each.check(ctx)
		cancel()
		fmt.Printf("{\"check\":%q}\n", each.name)
	}
	fmt.Printf("{\"passed\":%d}\n", len(checks))
}
