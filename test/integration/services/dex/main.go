// The OIDC provider Dex for tests. It stores everything in memory. The arguments are the port, the id of the client, and
// its redirect address. The people sign in by email address, all with the same password. They are in the environment
// variable PEOPLE, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/connectors"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/server/tokens"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/dexidp/dex/web"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"
)

type person struct {
	Email  string   `json:"email"`
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
}

// The memory storage holds its lock while it calls update, and a refresh reads the storage meanwhile. So it would wait
// for itself.
type unlockedRefresh struct{ storage.Storage }

func (s unlockedRefresh) UpdateRefreshToken(
	ctx context.Context, id string, update func(storage.RefreshToken) (storage.RefreshToken, error),
) error {
	old, err := s.GetRefresh(ctx, id)
	if err != nil {
		return err
	}
	updated, err := update(old)
	if err != nil {
		return err
	}
	return s.Storage.UpdateRefreshToken(ctx, id, func(storage.RefreshToken) (storage.RefreshToken, error) {
		return updated, nil
	})
}

const (
	tokenLifetime = 10 * time.Minute
	issuerPath    = "/dex"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: dex PORT CLIENT_ID REDIRECT_URI")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(port, clientID, redirectURI string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	people, err := readPeople()
	if err != nil {
		return err
	}
	client := storage.Client{
		ID: clientID, Name: clientID, Secret: os.Getenv("CLIENT_SECRET"),
		// Dex sends the browser of the device flow back to itself.
		RedirectURIs: []string{redirectURI, issuerPath + "/device/callback"},
	}
	local := storage.Connector{ID: connectors.LocalConnector, Name: "Email", Type: connectors.LocalConnector}
	var stored storage.Storage = unlockedRefresh{memory.New(logger)}
	stored = storage.WithStaticClients(stored, []storage.Client{client})
	stored = storage.WithStaticPasswords(stored, people, logger)
	stored = storage.WithStaticConnectors(stored, []storage.Connector{local})

	keys := signer.LocalConfig{KeysRotationPeriod: "6h"}
	signing, err := keys.Open(ctx, stored, tokenLifetime, time.Now, logger)
	if err != nil {
		return err
	}
	refresh, err := tokens.NewRefreshTokenPolicy(logger, false, "", "", "0s")
	if err != nil {
		return err
	}
	handler, err := server.NewServer(ctx, server.Config{
		Issuer: "http://127.0.0.1:" + port + issuerPath, Storage: stored, Signer: signing, RefreshTokenPolicy: refresh,
		IDTokensValidFor: tokenLifetime, SkipApprovalScreen: true, Now: time.Now, Logger: logger,
		Web: server.WebConfig{WebFS: web.FS()}, PrometheusRegistry: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	serving := &http.Server{Handler: handler}
	go func() {
		<-ctx.Done()
		_ = serving.Close()
	}()
	fmt.Println("ready")
	if err := serving.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func readPeople() ([]storage.Password, error) {
	var all []person
	if err := json.Unmarshal([]byte(os.Getenv("PEOPLE")), &all); err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(os.Getenv("PASSWORD")), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	var passwords []storage.Password
	for _, one := range all {
		passwords = append(passwords, storage.Password{
			Email: one.Email, Hash: hash, Username: one.Name, PreferredUsername: one.Name, UserID: one.Name,
			Groups: one.Groups,
		})
	}
	return passwords, nil
}
