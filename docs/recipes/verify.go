package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	issuer := "https://" + os.Getenv("TEAM")
	keys := oidc.NewRemoteKeySet(context.Background(), issuer+"/cdn-cgi/access/certs")
	verifier := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: os.Getenv("AUD")})

	hello := func(w http.ResponseWriter, r *http.Request) {
		token, err := verifier.Verify(r.Context(), r.Header.Get("Cf-Access-Jwt-Assertion"))
		if err != nil {
			http.Error(w, "Refused: "+err.Error(), http.StatusUnauthorized)
			return
		}
		var caller struct {
			Email      string            `json:"email"`
			CommonName string            `json:"common_name"`
			Cnf        map[string]string `json:"cnf"`
		}
		if err := token.Claims(&caller); err != nil {
			http.Error(w, "Refused: "+err.Error(), http.StatusUnauthorized)
			return
		}
		who := caller.Email
		if who == "" && caller.Cnf != nil {
			who = "certificate:" + caller.CommonName
		} else if who == "" {
			who = "service:" + caller.CommonName
		}
		w.Header().Set("X-User", who)
		fmt.Fprintf(w, "Hello, %s\n", who)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(hello)))
}
