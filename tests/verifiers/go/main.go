// Verify checks a log of Avow with Go's own implementation of transparency logs, which shares no line with Avow's.
//
//	verify BASE VKEY [OLDER]
//
// BASE is the URL of a server, or a directory with files under the same paths; OLDER is a file with a checkpoint that was
// kept from before. It exits with 0 if everything holds, 1 if something does not, and 2 if it was not called well.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: verify BASE VKEY [OLDER]")
		os.Exit(2)
	}
	older := ""
	if len(os.Args) == 4 {
		older = os.Args[3]
	}
	size, err := verify(os.Args[1], os.Args[2], older)
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Printf("accepted: %d entries\n", size)
}

func verify(base, vkey, older string) (int64, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, fmt.Errorf("the key: %w", err)
	}
	source := source{base}
	checkpoint, err := source.fetch("checkpoint")
	if err != nil {
		return 0, err
	}
	tree, err := openCheckpoint(checkpoint, verifier)
	if err != nil {
		return 0, fmt.Errorf("the checkpoint: %w", err)
	}
	entries, err := readEntries(source, tree.N)
	if err != nil {
		return 0, err
	}
	if err := entries.checkHead(tree); err != nil {
		return 0, fmt.Errorf("the entries: %w", err)
	}
	if err := checkTiles(source, tree, entries); err != nil {
		return 0, err
	}
	if err := checkInclusions(source, tree, entries); err != nil {
		return 0, err
	}
	if err := checkReceipts(source, verifier, entries); err != nil {
		return 0, err
	}
	if older != "" {
		if err := checkConsistency(source, verifier, tree, older); err != nil {
			return 0, fmt.Errorf("the older checkpoint: %w", err)
		}
	}
	return tree.N, nil
}

// openCheckpoint authenticates a checkpoint and returns the head that it states.
func openCheckpoint(checkpoint []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, head, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("it is of the log %q", origin)
	}
	// The library knows the heads of one log only, by its first line.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + head))
	if err == nil && tree.N == 0 && tree.Hash != sha256.Sum256(nil) {
		err = errors.New("the empty log has another root")
	}
	return tree, err
}

// entries are the leaves' hashes and those above them, in the order in which the library stores them.
type entries struct {
	leaves []tlog.Hash
	stored []tlog.Hash
}

func (e *entries) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(e.stored)) {
			return nil, fmt.Errorf("stored hash %d lies beyond the entries", index)
		}
		hashes[i] = e.stored[index]
	}
	return hashes, nil
}

func readEntries(source source, size int64) (*entries, error) {
	entries := &entries{}
	for _, bundle := range places(size) {
		path := "tile/entries/" + bundle.path()
		data, err := source.fetch(path)
		if err != nil {
			return nil, err
		}
		for i := 0; i < bundle.width; i++ {
			if len(data) < 2 || len(data)-2 < int(data[0])<<8|int(data[1]) {
				return nil, fmt.Errorf("%s ends before its last entry", path)
			}
			end := 2 + (int(data[0])<<8 | int(data[1]))
			if err := entries.add(data[2:end]); err != nil {
				return nil, err
			}
			data = data[end:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("%s goes on behind its last entry", path)
		}
	}
	return entries, nil
}

func (e *entries) add(leaf []byte) error {
	stored, err := tlog.StoredHashes(int64(len(e.leaves)), leaf, e)
	if err != nil {
		return err
	}
	e.leaves = append(e.leaves, tlog.RecordHash(leaf))
	e.stored = append(e.stored, stored...)
	return nil
}

// checkHead checks that a head is that of the first of the entries.
func (e *entries) checkHead(tree tlog.Tree) error {
	if tree.N == 0 {
		return nil
	}
	root, err := tlog.TreeHash(tree.N, e)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("the first %d hash to %s and not to %s", tree.N, root, tree.Hash)
	}
	return nil
}

// checkTiles checks each byte of each tile.
func checkTiles(source source, tree tlog.Tree, entries *entries) error {
	for level := 0; tree.N>>(8*level) > 0; level++ {
		for _, place := range places(tree.N >> (8 * level)) {
			tile := tlog.Tile{H: 8, L: level, N: place.index, W: place.width}
			path := tilePath(tile)
			served, err := source.fetch(path)
			if err != nil {
				return err
			}
			computed, err := tlog.ReadTileData(tile, entries)
			if err != nil {
				return err
			}
			if !bytes.Equal(served, computed) {
				return fmt.Errorf("%s holds other hashes than the entries have", path)
			}
		}
	}
	return nil
}

// checkInclusions proves each entry from the tiles alone.
func checkInclusions(source source, tree tlog.Tree, entries *entries) error {
	hashes := tlog.TileHashReader(tree, &tiles{source: source})
	for index, leaf := range entries.leaves {
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		if err == nil {
			err = tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), leaf)
		}
		if err != nil {
			return fmt.Errorf("the inclusion of entry %d: %w", index, err)
		}
	}
	return nil
}

// checkConsistency proves from the tiles alone that an older checkpoint is of the beginning of this log.
func checkConsistency(source source, verifier note.Verifier, tree tlog.Tree, file string) error {
	checkpoint, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	older, err := openCheckpoint(checkpoint, verifier)
	if err != nil || older.N == 0 {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, older.N, tlog.TileHashReader(tree, &tiles{source: source}))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash)
}

// tiles reads tiles for the library, each once.
type tiles struct {
	source source
	read   map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return 8 }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		if t.read[tile] == nil {
			fetched, err := t.source.fetch(tilePath(tile))
			if err != nil {
				return nil, err
			}
			t.SaveTiles([]tlog.Tile{tile}, [][]byte{fetched})
		}
		data[i] = t.read[tile]
	}
	return data, nil
}

func (t *tiles) SaveTiles(saved []tlog.Tile, data [][]byte) {
	if t.read == nil {
		t.read = make(map[tlog.Tile][]byte)
	}
	for i, tile := range saved {
		t.read[tile] = data[i]
	}
}

// place is a group of 256, of which width are there.
type place struct {
	index int64
	width int
}

// places returns where so many hashes or entries stand.
func places(count int64) []place {
	var all []place
	for index := int64(0); index < count>>8; index++ {
		all = append(all, place{index, 256})
	}
	if rest := int(count & 255); rest > 0 {
		all = append(all, place{count >> 8, rest})
	}
	return all
}

func (p place) path() string {
	return strings.TrimPrefix(tilePath(tlog.Tile{H: 8, N: p.index, W: p.width}), "tile/0/")
}

// tilePath returns a tile's path at C2SP, where all have the height 8 and none says so.
func tilePath(tile tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
}

// source is a server's URL or a directory.
type source struct {
	base string
}

func (s source) fetch(path string) ([]byte, error) {
	if !strings.HasPrefix(s.base, "http") {
		return os.ReadFile(filepath.Join(s.base, filepath.FromSlash(path)))
	}
	response, err := http.Get(strings.TrimSuffix(s.base, "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s is answered %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}
