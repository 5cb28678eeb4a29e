package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Ten years: a cluster that comes back after a long holiday still works.
const validity = 10 * 365 * 24 * time.Hour

// issueCertificates writes ca.{crt,key}, the service account key pair sa.{key,pub} and one NAME.{crt,key} per request into a
// new directory. A request is NAME=COMMON-NAME[/ORGANISATION][@HOST,HOST…]; with hosts the certificate also serves.
func issueCertificates() {
	flags := flag.NewFlagSet("certs", flag.ExitOnError)
	directory := flags.String("dir", "", "directory to create")
	_ = flags.Parse(os.Args[1:])
	if err := writePKI(*directory, flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "certs:", err)
		os.Exit(1)
	}
}

// writePKI fills a sibling directory and renames it, so that a directory that exists is complete.
func writePKI(directory string, requests []string) error {
	if directory == "" {
		return errors.New("-dir is required")
	}
	draft := directory + ".draft"
	if err := errors.Join(os.RemoveAll(draft), os.MkdirAll(draft, 0o700)); err != nil {
		return err
	}
	authority, err := newAuthority(draft)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if err := authority.issue(request); err != nil {
			return fmt.Errorf("%s: %w", request, err)
		}
	}
	if err := writeServiceAccountKeys(draft); err != nil {
		return err
	}
	return os.Rename(draft, directory)
}

type authority struct {
	directory   string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(directory string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kadre-cluster"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	made := &authority{directory: directory, certificate: template, key: key}
	der, err := made.sign("ca", template, key)
	if err != nil {
		return nil, err
	}
	// Parsed back, the certificate has the key identifier that strict clients look for in what it signs.
	made.certificate, err = x509.ParseCertificate(der)
	return made, err
}

func (a *authority) issue(request string) error {
	name, subject, found := strings.Cut(request, "=")
	if !found {
		return errors.New("want NAME=COMMON-NAME[/ORGANISATION][@HOST,…]")
	}
	subject, hosts, serves := strings.Cut(subject, "@")
	commonName, organisation, _ := strings.Cut(subject, "/")
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if organisation != "" {
		template.Subject.Organization = []string{organisation}
	}
	if serves {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		for _, host := range strings.Split(hosts, ",") {
			if ip := net.ParseIP(host); ip != nil {
				template.IPAddresses = append(template.IPAddresses, ip)
			} else {
				template.DNSNames = append(template.DNSNames, host)
			}
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = a.sign(name, template, key)
	return err
}

func (a *authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// A little in the past, for clocks that are set back.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(validity)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return der, errors.Join(
		writePEM(filepath.Join(a.directory, name+".crt"), "CERTIFICATE", der),
		writeKey(filepath.Join(a.directory, name+".key"), key),
	)
}

// Service account tokens are RS256 unless told otherwise, and that is what clients expect.
func writeServiceAccountKeys(directory string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return errors.Join(
		writeKey(filepath.Join(directory, "sa.key"), key),
		writePEM(filepath.Join(directory, "sa.pub"), "PUBLIC KEY", public),
	)
}

func writeKey(file string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(file, "PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
