// An LDAP directory for tests with one user. The arguments are the port, the user name and the name of the environment
// variable with the password. The directory accepts simple binds without TLS.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/jimlambrt/gldap/testdirectory"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: ldap PORT USER PASSWORD_VARIABLE")
		os.Exit(2)
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn})
	t, err := testdirectory.NewLogger(logger)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	names := &testdirectory.Defaults{UserAttr: "name", UserDN: "ou=people,dc=example,dc=org"}
	users := testdirectory.NewUsers(t, []string{os.Args[2]}, testdirectory.WithDefaults(t, names))
	for _, attribute := range users[0].Attributes {
		if attribute.Name == "password" {
			attribute.Values = []string{os.Getenv(os.Args[3])}
		}
	}
	names.Users = users
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	directory := testdirectory.Start(t,
		testdirectory.WithHost(t, "127.0.0.1"),
		testdirectory.WithPort(t, port),
		testdirectory.WithNoTLS(t),
		testdirectory.WithDefaults(t, names),
		testdirectory.WithLogger(t, logger))
	fmt.Println("ready")
	<-stop
	directory.Stop()
}
