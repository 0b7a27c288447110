package trust

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"salvor"
	"salvor/api"
	"salvor/storage/durable"
)

// Founding is what a new cluster begins with.
type Founding struct {
	Options
	Settings api.ClusterSettings // ID "" is drawn, Created 0 is now
	Roles    []api.Role          // of the first node; coordinator is added
	Address  string              // host:port under which other nodes reach it
	Names    []string            // other host names or IP addresses of it
	Host     string              // the machine's name
	Level    uint16              // the newest feature level it can run at
	Version  string              // of its program
	KeyFile  string              // where the first admin's API key goes, mode 0600; "" is admin.key in the directory
	KeyName  string              // whose it is; "" is "first admin"
}

// Found makes a cluster's authority, its first node and its first key in a
// directory, with no network. What is to stand in the registry waits in the
// directory for Enroll. A Found that was killed may be repeated; Conflict once
// it was done. An authority that lies in the directory already, as after a
// restored backup, is taken over.
func Found(dir string, f Founding) (*Identity, error) {
	f.Options = f.Options.withDefaults()
	f.KeyFile = cmp.Or(f.KeyFile, filepath.Join(dir, "admin.key"))
	hosts, err := hostsOf(f.Address, f.Names)
	if err != nil {
		return nil, err
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	ca, err := foundCA(dir, f)
	if err != nil {
		return nil, err
	}
	key, err := nodeKey(dir)
	if err != nil {
		return nil, err
	}
	i, err := newIdentity(dir, f.Options, key, ca.cert)
	if err != nil {
		return nil, err
	}
	i.ca = ca
	node, err := f.node(i)
	if err != nil {
		return nil, err
	}
	cert, err := ca.sign(leaf{Peer{ca.cluster, node.ID, node.Name, node.Roles}, hosts, key.Public(), f.Now(), f.Validity})
	if err != nil {
		return nil, err
	}
	return i, i.found(f, node, func() error { return i.keep(cert) })
}

func vacant(dir string) error {
	if ok, err := Member(dir); err != nil {
		return err
	} else if ok {
		return salvor.Errorf(salvor.Conflict, "%s holds a node of a cluster already", dir).
			WithHint("start it with `salvor server`, or choose another directory for a new cluster")
	}
	return nil
}

// foundCA is the authority that lies in a directory, or a new one.
func foundCA(dir string, f Founding) (*CA, error) {
	ok, err := exists(filepath.Join(dir, fileCACert))
	if err != nil {
		return nil, err
	}
	if !ok {
		// A key without its certificate was never used: Save writes it first.
		if err := os.Remove(filepath.Join(dir, fileCAKey)); err != nil && !os.IsNotExist(err) {
			return nil, durable.Error(err, "remove", filepath.Join(dir, fileCAKey))
		}
		ca, err := newCA(cmp.Or(f.Settings.ID, NewClusterID()), f.Now())
		if err != nil {
			return nil, err
		}
		return ca, ca.Save(dir)
	}
	ca, err := LoadCA(dir)
	if err == nil && f.Settings.ID != "" && f.Settings.ID != ca.cluster {
		return nil, salvor.Errorf(salvor.Conflict, "the authority in %s is of the cluster %s, not of %s", dir, ca.cluster, f.Settings.ID)
	}
	return ca, err
}

// node is the row of the first node.
func (f Founding) node(i *Identity) (api.Node, error) {
	roles, err := checkRoles(append([]api.Role{api.RoleCoordinator}, f.Roles...), nodeRoles)
	if err != nil {
		return api.Node{}, err
	}
	csr, err := newCSR(i.key)
	if err != nil {
		return api.Node{}, err
	}
	parsed, err := parseCSR(csr)
	if err != nil {
		return api.Node{}, err
	}
	id := nodeID(parsed)
	return api.Node{
		ID: id, Name: pseudonym(id, 0), Roles: roles, Address: f.Address, Host: f.Host, Level: f.Level,
		Version: f.Version, Joined: f.Now().UnixMilli(), State: api.NodeActive,
	}, nil
}

// found writes the first key, what waits for Enroll, and what the node knows,
// then commits with the certificate.
func (i *Identity) found(f Founding, node api.Node, commit func() error) error {
	f.Settings.ID = i.ca.cluster
	if f.Settings.Created == 0 {
		f.Settings.Created = f.Now().UnixMilli()
	}
	key, err := i.firstKey(f)
	if err != nil {
		return err
	}
	records, err := foundingRows(f.Settings, node, key)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(i.dir, fileFounding), true, records); err != nil {
		return err
	}
	i.known = clusterFile{Settings: f.Settings, Address: f.Address, Names: f.Names, Coordinators: []string{f.Address}}
	if err := writeJSON(filepath.Join(i.dir, fileCluster), false, i.known); err != nil {
		return err
	}
	return commit()
}

// firstKey writes the first admin's key, or takes the one that a Found that
// was killed wrote.
func (i *Identity) firstKey(f Founding) (Key, error) {
	c := newCredential(APIKey, i.Fingerprint())
	name := cmp.Or(f.KeyName, "first admin")
	roles := []api.Role{api.RoleAdmin}
	ok, err := exists(f.KeyFile)
	if err != nil {
		return Key{}, err
	}
	if ok {
		text, err := readFile(f.KeyFile, true)
		if err != nil {
			return Key{}, err
		}
		if c, err = ParseKey(string(text)); err != nil || c.CA != i.Fingerprint() {
			return Key{}, salvor.Errorf(salvor.Conflict, "%s is there already, and is no key of this cluster", f.KeyFile).
				WithHint("move it away, or choose another file for the admin's key")
		}
		return newKeyRow(c, name, roles, "cluster init", f.Now())
	}
	if err := durable.MkdirAll(filepath.Dir(f.KeyFile)); err != nil {
		return Key{}, err
	}
	if err := writeFile(f.KeyFile, true, []byte(c.Text().Reveal()+"\n")); err != nil {
		return Key{}, err
	}
	return newKeyRow(c, name, roles, "cluster init", f.Now())
}

// foundingRows are the first rows of the registry. The settings come last:
// while they are missing, nobody can join.
func foundingRows(s api.ClusterSettings, n api.Node, k Key) ([]api.Record, error) {
	var out []api.Record
	for _, r := range []struct {
		table, key string
		value      any
	}{
		{tableNames, n.Name, n.ID}, {api.TableNodes, n.ID, n}, {api.TableKeys, k.ID, k}, {api.TableCluster, api.SettingsKey, s},
	} {
		b, err := json.Marshal(r.value)
		if err != nil {
			return nil, salvor.Errorf(salvor.Internal, "write the first rows of the registry: %w", err)
		}
		out = append(out, api.Record{Table: r.table, Key: r.key, Value: b})
	}
	return out, nil
}

// Enroll writes into the registry what Found left for it; on every other node,
// and every time after the first, it does nothing. The node calls it once its
// group 0 has a leader, and again after Unavailable.
func (i *Identity) Enroll(ctx context.Context, reg api.Registry) error {
	path := filepath.Join(i.dir, fileFounding)
	if ok, err := exists(path); err != nil || !ok {
		return err
	}
	var records []api.Record
	if err := readJSON(path, &records); err != nil {
		return err
	}
	settings, err := get[api.ClusterSettings](ctx, reg, api.TableCluster, api.SettingsKey)
	if err != nil {
		return err
	}
	if settings.version != 0 && settings.value.ID != i.Settings().ID {
		return salvor.Errorf(salvor.Conflict, "the registry is of the cluster %s, and this node of %s", settings.value.ID, i.Settings().ID)
	}
	for _, r := range records {
		// Conflict: an earlier try wrote it.
		if _, err := reg.SetRecord(ctx, r); err != nil && salvor.ClassOf(err) != salvor.Conflict {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return durable.Error(err, "remove", path)
	}
	return durable.SyncDir(i.dir)
}

// Founding says that this node makes its cluster: what Found left for the
// registry is not all there yet.
func (i *Identity) Founding() bool {
	ok, err := exists(filepath.Join(i.dir, fileFounding))
	return ok && err == nil
}
