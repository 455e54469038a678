#!/bin/sh
# What `make test-arm` needs, in the folder $1: Debian's clang-16 and qemu-user on this system, an arm64 Python in
# $1/root, which no system's package list knows of, the wheels of arm64 in $1/site, and $1/python, which runs that Python.
# $2 is a pip of this system.
set -e
mkdir -p "$1"
here=$(cd "$1" && pwd)

for package in clang-16 lld-16 qemu-user-static g++-aarch64-linux-gnu; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends $missing
fi

apt=$here/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
touch "$apt/status"
arm_apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Debug::NoLocking=1 -o Dir::State="$apt" \
    -o Dir::State::status="$apt/status" -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" "$@"
}
arm_apt update
arm_apt install --download-only -y --no-install-recommends python3.11-minimal libpython3.11-stdlib libstdc++6
rm -rf "$here/root" "$here/site"
mkdir "$here/root"
for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$here/root"; done

"$2" install --quiet --only-binary=:all: --implementation cp --python-version 3.11 --platform manylinux_2_28_aarch64 \
  --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --target "$here/site" \
  numpy ml_dtypes optree scipy-openblas32 platformdirs rich safetensors pytest hypothesis

# Its own path is sys.executable, so that tests may start processes.
cat >"$here/python" <<END
#!/bin/sh
exec qemu-aarch64-static -0 "$here/python" -L "$here/root" -cpu max,sve=off -E PYTHONHOME="$here/root/usr" \\
  "$here/root/usr/bin/python3.11" "\$@"
END
chmod +x "$here/python"
