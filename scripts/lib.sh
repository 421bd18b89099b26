# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the scripts share: `root` is the top of the repository.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C

step() { printf '\033[1m== %s\033[0m\n' "$*"; }

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" -eq 0 ] || fail "run this as root: it makes network namespaces and reserves hugepages"
}

# build DIRECTORY COMPILER MESON_OPTIONS -- TARGET...: configures the directory once, then builds the targets
# (all of them when none is named). What the compiler says is shown only when the build fails.
build() {
  local directory=$root/$1 compiler=$2 options=$3 log
  shift 4
  log=$(mktemp)
  if [ ! -f "$directory/build.ninja" ]; then
    rm -rf "$directory"
    # shellcheck disable=SC2086  # several options
    if ! CXX="ccache $compiler" meson setup $options "$directory" "$root" >"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      return 1
    fi
  fi
  if ! ninja -C "$directory" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# The programs that run, and nothing else.
build_product() {
  build build g++ "" -- dataplane/pinhole-dataplane control/pinhole-control control/pinholectl
}

# build_asan TARGET...: with the sanitizers, the product's own assertions and the fuzz targets; what UBSan finds ends the
# program.
build_asan() {
  # Without times in them, precompiled headers can be kept by ccache.
  build build-asan clang++-19 "-Doptimization=0 -Ddebug=false -Db_ndebug=false -Db_lundef=false -Dfuzz=true \
    -Db_sanitize=address,undefined \
    -Dcpp_args=['-gline-tables-only','-fno-sanitize-recover=all','-Xclang','-fno-pch-timestamp']" -- "$@"
}

# Objects that are made with precompiled headers are kept, too.
export CCACHE_SLOPPINESS=pch_defines,time_macros

# What ASan prints is of use only with names in it.
export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19
