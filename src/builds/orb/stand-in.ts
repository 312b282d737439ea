/**
 * The `opam` that builds find first on PATH: what build rules ask of opam has the same answers everywhere, whatever
 * opam drives the build. They are those of the stand-in that the original's packages install.
 */
export const OPAM_STAND_IN = `#!/bin/sh
case "$1" in
  --version) echo 2.1.2 ;;
  monorepo) shift; exec opam-monorepo "$@" ;;
  config | var)
    [ "$1" = config ] && shift
    case "$1 $2" in
      "var prefix") printf '%s\\n' "$PREFIX" ;;
      "var lib") printf '%s\\n' "$PREFIX/lib" ;;
      "subst "?*) sed 's/%{jobs}%/1/g' "$2.in" > "$2" ;;
      *) exit 1 ;;
    esac
    ;;
  subst) exit 0 ;;
  *) exit 1 ;;
esac
`;
