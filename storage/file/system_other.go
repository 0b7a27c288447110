//go:build !linux

package file

import "errors"

func (osSystem) Tmpfile(string) (output, error) { return nil, errors.ErrUnsupported }

func (osSystem) LinkTmpfile(output, string) error { return errors.ErrUnsupported }

func (osSystem) RenameNoReplace(string, string) error { return errors.ErrUnsupported }
