package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// receipt is a C2SP tlog-proof.
type receipt struct {
	index      int64
	proof      tlog.RecordProof
	checkpoint []byte
}

var errMalformedReceipt = errors.New("it is no tlog-proof")

func parseReceipt(text string) (receipt, error) {
	lines, checkpoint, found := strings.Cut(text, "\n\n")
	if !found {
		return receipt{}, errMalformedReceipt
	}
	rest := strings.Split(lines, "\n")
	if rest[0] != "c2sp.org/tlog-proof@v1" {
		return receipt{}, errMalformedReceipt
	}
	rest = rest[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "extra ") {
		rest = rest[1:]
	}
	if len(rest) == 0 || !strings.HasPrefix(rest[0], "index ") {
		return receipt{}, errMalformedReceipt
	}
	digits := strings.TrimPrefix(rest[0], "index ")
	index, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != digits {
		return receipt{}, errMalformedReceipt
	}
	proof := tlog.RecordProof{}
	for _, line := range rest[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return receipt{}, err
		}
		proof = append(proof, hash)
	}
	return receipt{index, proof, []byte(checkpoint)}, nil
}

// checkReceipts checks that each entry has a receipt, and that it speaks of this log.
func checkReceipts(source source, verifier note.Verifier, entries *entries) error {
	for index := range entries.leaves {
		if err := checkReceipt(source, verifier, entries, int64(index)); err != nil {
			return fmt.Errorf("the receipt of entry %d: %w", index, err)
		}
	}
	return nil
}

func checkReceipt(source source, verifier note.Verifier, entries *entries, index int64) error {
	text, err := source.fetch(fmt.Sprintf("v1/log/entries/%d/proof", index))
	if err != nil {
		return err
	}
	receipt, err := parseReceipt(string(text))
	if err != nil {
		return err
	}
	if receipt.index != index {
		return fmt.Errorf("it is that of entry %d", receipt.index)
	}
	tree, err := openCheckpoint(receipt.checkpoint, verifier)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(receipt.proof, tree.N, tree.Hash, index, entries.leaves[index]); err != nil {
		return err
	}
	return entries.checkHead(tree)
}
