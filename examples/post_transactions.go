// Sends a file of transactions to `txmon serve` in batches; a repeat after a lost answer counts nothing twice.
//
// usage: go run post_transactions.go FILE.csv [http://127.0.0.1:8080]; TXMON_TOKEN is sent where it is set
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	batch = 500 // rows a request
	tries = 5
)

type receipt struct {
	Accepted int
	Verdicts []struct{ Time, Text, Recommendation string }
}

var client = &http.Client{Timeout: 10 * time.Second}

// post sends one batch, again while nobody answers, and returns what the server makes of it.
func post(address string, body []byte) (receipt, error) {
	var found receipt
	for n := 0; ; n++ {
		request, err := http.NewRequest("POST", address, bytes.NewReader(body))
		if err != nil {
			return found, err
		}
		request.Header.Set("Content-Type", "text/csv")
		// the same key with the same body gives the first answer again
		request.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256(body)))
		if token := os.Getenv("TXMON_TOKEN"); token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(request)
		if err != nil {
			if n == tries-1 {
				return found, err
			}
			time.Sleep(time.Duration(1<<n) * time.Second / 2)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return found, err
		}
		if answer.StatusCode != http.StatusOK { // it was understood, and will not be taken another time
			return found, fmt.Errorf("%d: %s", answer.StatusCode, text)
		}
		return found, json.Unmarshal(text, &found)
	}
}

func run(path, address string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Scan()
	header, rows, accepted := lines.Text(), []string{}, 0
	for more := true; more; {
		if more = lines.Scan(); more {
			rows = append(rows, lines.Text())
		}
		if len(rows) == 0 || (more && len(rows) < batch) {
			continue
		}
		body := header + "\n" + strings.Join(rows, "\n") + "\n"
		found, err := post(address+"/v1/transactions", []byte(body))
		if err != nil {
			return err
		}
		accepted, rows = accepted+found.Accepted, rows[:0]
		for _, verdict := range found.Verdicts {
			if verdict.Recommendation == "alert" {
				fmt.Println(verdict.Time, verdict.Text)
			}
		}
	}
	fmt.Println(accepted, "accepted")
	return lines.Err()
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: post_transactions FILE.csv [http://127.0.0.1:8080]")
		os.Exit(2)
	}
	address := "http://127.0.0.1:8080"
	if len(os.Args) > 2 {
		address = strings.TrimRight(os.Args[2], "/")
	}
	if err := run(os.Args[1], address); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
