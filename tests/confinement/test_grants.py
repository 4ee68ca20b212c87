"""What the words of a grant come to on the host: variables and where they fall back to, sets, the one
file of a call, and what fs_deny takes out of them."""
import wire


def write(home, *names):
    """Files with their own names in them."""
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name + "\n")


def reads(broker, path):
    """Whether cat can, which ends with 1 where it cannot."""
    with wire.Output() as output, wire.Output() as said:
        reply = wire.run2(broker.socket, ["cat", "--", str(path)], stdout=output, stderr=said)
        text, why = output.read(), said.read()
    if reply.status == 0:
        assert text == path.read_bytes()
        return True
    assert reply.status == 1 and b"Permission denied" in why, (reply.status, reply.text, why)
    return False


def rules(**keys):
    lines = "".join(f"  {key} = {value}\n" for key, value in keys.items())
    return f"cat -- #path\n  allow_any = path\n  fs_exec = @system\n{lines}"


FOLDERS = "$XDG_RUNTIME_DIR/a, $XDG_STATE_HOME/a, $XDG_CONFIG_HOME/a"


def test_variables_lead_where_they_say(start, home):
    write(home, "run/a", "run/b", "state/a", "state/b", "config/a", "config/b", ".local/state/a", ".config/a")
    broker = start(rules(fs_read=FOLDERS), env={
        "XDG_RUNTIME_DIR": f"{home}/run", "XDG_STATE_HOME": f"{home}/state", "XDG_CONFIG_HOME": f"{home}/config"})
    for folder in ("run", "state", "config"):
        assert reads(broker, home / folder / "a")
        assert not reads(broker, home / folder / "b")
    assert not reads(broker, home / ".local/state/a") and not reads(broker, home / ".config/a")


def test_variables_that_are_not_set_fall_back_to_home(start, home):
    write(home, ".local/state/a", ".config/a", ".config/b")
    broker = start(rules(fs_read="$XDG_STATE_HOME/a, $XDG_CONFIG_HOME/a"))
    assert reads(broker, home / ".local/state/a") and reads(broker, home / ".config/a")
    assert not reads(broker, home / ".config/b")


def test_a_grant_without_its_variable_keeps_the_broker_from_starting(start, home):
    write(home, "run/a")
    broker = start(rules(fs_read="$XDG_RUNTIME_DIR/a"), wait=False)
    assert broker.process.wait(wire.PATIENCE) == 2
    assert "a variable of the path is not set" in broker.stderr()


def test_home_config_without_what_is_denied(start, home):
    write(home, ".gitconfig", ".config/tool/settings", ".config/gh/hosts.yml", ".ssh/id", "other")
    broker = start(rules(fs_read="@home-config", fs_deny="$HOME/.config/gh"))
    assert reads(broker, home / ".gitconfig") and reads(broker, home / ".config/tool/settings")
    for name in (".config/gh/hosts.yml", ".ssh/id", "other"):
        assert not reads(broker, home / name), name


def test_home_config_lies_where_its_variable_says(start, home):
    write(home, "elsewhere/tool/settings", ".config/tool/settings")
    broker = start(rules(fs_read="@home-config"), env={"XDG_CONFIG_HOME": f"{home}/elsewhere"})
    assert reads(broker, home / "elsewhere/tool/settings")
    assert not reads(broker, home / ".config/tool/settings")


def test_denied_paths_inside_a_grant(start, home):
    write(home, "work/a", "work/secret/key", "work/deep/er/still/key", "work/deep/er/beside")
    broker = start(rules(fs_read="$HOME/work", fs_deny="$HOME/work/secret, $HOME/work/deep/er/still, $HOME/work/none"))
    assert reads(broker, home / "work/a") and reads(broker, home / "work/deep/er/beside")
    assert not reads(broker, home / "work/secret/key")
    assert not reads(broker, home / "work/deep/er/still/key")


def changes_mode(broker, name):
    reply, output = wire.capture(broker.socket, ["chmod", "600", "--", str(name)], wire.run2)
    return reply.status == 0


def test_metadata_within_where_a_slots_file_is_looked_up(start, home):
    """Whose base is the rule's cwd, or the directory of @under."""
    write(home, "in/file", "out/file")
    for name in ("in/file", "out/file"):
        (home / name).chmod(0o644)
    broker = start("chmod 600 -- #file\n  file = @under($HOME/in)\n  fs_exec = @system\n  fs_write = #file\n"
                   "  metadata = within\n  syscalls = default\n".replace("$HOME", str(home)))
    assert changes_mode(broker, home / "in/file")
    assert (home / "in/file").stat().st_mode & 0o777 == 0o600
    assert not changes_mode(broker, home / "out/file")
    assert (home / "out/file").stat().st_mode & 0o777 == 0o644


def test_metadata_within_the_cwd_of_a_slots_file(start, home):
    write(home, "in/file", "out/file")
    for name in ("in/file", "out/file"):
        (home / name).chmod(0o644)
    (home / "in/link").symlink_to("../out/file")
    broker = start("chmod 600 -- #file\n  file = @relpath\n  cwd = $HOME/in\n  fs_exec = @system\n"
                   "  fs_write = #file\n  metadata = within\n")
    assert changes_mode(broker, "file")
    assert (home / "in/file").stat().st_mode & 0o777 == 0o600
    assert not changes_mode(broker, "link")
    assert (home / "out/file").stat().st_mode & 0o777 == 0o644
