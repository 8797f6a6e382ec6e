# SPDX-License-Identifier: MIT
"""`tarn define`: libvirt's domain XML becomes a definition; and the folder that keeps definitions
(`tarn up --state`), against a fake machine (fake_qemu.py) and a real one."""
import os
import random
import re
import signal
import subprocess
import time
import zlib
from xml.etree import ElementTree

import pytest

from tarn import BUILD, ROOT, SCALE
from test_tarn_host import FAILED, TARN, Host, gone, until
from test_tarn_machine import Real

SCHEMA = "/usr/share/libvirt/schemas/domain.rng"
EXAMPLES = os.path.join(ROOT, "tools", "tarn", "examples")
GOLDEN = os.path.join(ROOT, "tests", "qemu", "golden", "define")
pytestmark = pytest.mark.skipif(not os.path.exists(TARN), reason="tools/tarn is not built")


def convert(text, *args, folder, env=None, limit=20):
    """(status, stdout, stderr) of `tarn define --print`; messages name d.xml."""
    path = folder / "d.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([TARN, "define", "--print", *args[:1], "d.xml", *args[1:]] if args and args[0].startswith("-")
                          else [TARN, "define", "--print", "d.xml", *args], cwd=folder, env=dict(os.environ, **env or {}),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=limit * SCALE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def domain(vcpu="<vcpu>4</vcpu>", more="", os_="<type>xen</type><kernel>/hello.elf</kernel>", name="d",
           memory="<memory unit='MiB'>16</memory>"):
    """A document; its parts are on lines of their own: name 2, memory 3, vcpu 4, os 5, more from 6."""
    return (f"<domain type='xen'>\n<name>{name}</name>\n{memory}\n{vcpu}\n<os>{os_}</os>\n{more}\n</domain>\n")


# ---- good ones: what stands in the text besides that of the plainest document

PLAIN = ['name = "d"', 'kernel = "/hello.elf"', "memory = 16", "maxmem = 16", "vcpus = 4", "maxvcpus = 4",
         'placement = "static"']
GOOD = {
    "plain": (domain(), []),
    "one vcpu is libvirt's default": (domain(vcpu=""), ["vcpus = 1", "maxvcpus = 1"]),
    "current": (domain("<vcpu current='2'>4</vcpu>"), ["vcpus = 2"]),
    "cpuset": (domain("<vcpu cpuset='1-4,^3'>4</vcpu>"), ['cpuset = "1-2,4"']),
    "blanks": (domain("<vcpu cpuset=' 1 - 4 , 6 '>\n 4\t</vcpu>", name=" d\n"), ['cpuset = "1-4,6"']),
    "static": (domain("<vcpu placement='static' cpuset='7,0'>4</vcpu>"), ['cpuset = "0,7"']),
    "auto": (domain("<vcpu placement='auto'>4</vcpu>"), ['placement = "auto"']),
    "auto and cpuset": (domain("<vcpu placement='auto' cpuset='1'>4</vcpu>"), ['placement = "auto"']),
    "cpuset before auto": (domain("<vcpu cpuset='1' placement='auto'>4</vcpu>"), ['placement = "auto"']),
    "numatune auto alone": (domain(more="<numatune><memory mode='strict' placement='auto'/></numatune>"),
                            ['placement = "auto"', 'numatune = "auto"']),
    "numatune auto and a pin": (domain(more="<numatune><memory mode='strict' placement='auto'/></numatune>"
                                            "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>"),
                                ['numatune = "auto"', 'vcpupin = ["0:1"]']),
    "pins": (domain(more="<iothreads>3</iothreads><cputune><vcpupin vcpu='3' cpuset='0-63'/><vcpupin vcpu='0' cpuset='1'/>"
                         "<emulatorpin cpuset='^2,1-3'/><iothreadpin iothread='2' cpuset='5'/></cputune>"),
             ["iothreads = 3", 'vcpupin = ["0:1", "3:0-63"]', 'emulatorpin = "1-3"', 'iothreadpin = ["2:5"]']),
    "auto and emulatorpin, modern": (domain("<vcpu placement='auto'>4</vcpu>",
                                            "<cputune><emulatorpin cpuset='2'/></cputune>"),
                                     ['placement = "auto"', 'emulatorpin = "2"']),
    "a pin of no vcpu": (domain(more="<cputune><vcpupin vcpu='4' cpuset='1'/></cputune>"), []),
    "tunes": (domain(more="<cputune><shares>2048</shares><period>1000</period><quota>-5</quota>"
                          "<global_period>1000000</global_period><global_quota>17592186044415</global_quota>"
                          "<emulator_period>50000</emulator_period><emulator_quota>1000</emulator_quota>"
                          "<iothread_period>2000</iothread_period><iothread_quota>-1</iothread_quota></cputune>"),
              ["shares = 2048", "vcpu_period = 1000", "vcpu_quota = -1", "global_period = 1000000",
               "global_quota = 17592186044415", "emulator_period = 50000", "emulator_quota = 1000",
               "iothread_period = 2000", "iothread_quota = -1"]),
    "no tunes": (domain(more="<cputune><period>0</period><quota>0</quota></cputune>"), []),
    "vcpus": (domain(more="<vcpus><vcpu id='1' enabled='yes' hotpluggable='yes'/><vcpu id='0' enabled='yes'/>"
                          "<vcpu id='2' enabled='no' hotpluggable='yes' order='3'/></vcpus>"), ["vcpus = 2"]),
    "iothreadids": (domain(more="<iothreads>1</iothreads><iothreadids><iothread id='1'/><iothread id='2'/></iothreadids>"),
                    ["iothreads = 2"]),
    "uuid": (domain(more="<uuid>C7A5FDBDEDAF9455926AD65C16DB1809</uuid>"),
             ['uuid = "c7a5fdbd-edaf-9455-926a-d65c16db1809"']),
    "command line": (domain(os_="<type arch='x86_64' machine='xenpv'>linux</type><kernel>/boot/vmlinuz</kernel>"
                                "<initrd>/boot/initrd</initrd><cmdline> root=\"/dev/xvda\" a\\b\n<![CDATA[<&>]]>&#9;c"
                                "</cmdline>"),
                     ['kernel = "/boot/vmlinuz"', 'ramdisk = "/boot/initrd"',
                      'extra = "root=\\"/dev/xvda\\" a\\\\b\\n<&>\\tc"']),
    "events": (domain(more="<on_poweroff>preserve</on_poweroff><on_reboot>rename-restart</on_reboot>"
                           "<on_crash>coredump-restart</on_crash>"),
               ['on_poweroff = "preserve"', 'on_reboot = "rename-restart"', 'on_crash = "restart"']),
    "a path that can't be typed": (domain(os_="<type>xen</type><kernel>/a b/ö \"x\"</kernel>"),
                                   [None]),
    "comments and namespaces": ("<?xml version='1.0' encoding='UTF-8'?>\n<!-- a -->\n" + domain(
        more="<!-- b --><metadata><x:y xmlns:x='urn:x'><vcpu>9</vcpu></x:y></metadata><title>t</title>"
             "<x:commandline xmlns:x='urn:x'/>"), []),
    "Latin-1": ("<?xml version='1.0' encoding='ISO-8859-1'?>\n".encode() + domain(
        more="<description>\xfc</description>").encode("latin-1"), []),
    "UTF-16": (("<?xml version='1.0' encoding='UTF-16'?>\n" + domain()).encode("utf-16"), []),
}
MEMORY = {"<memory>16384</memory>": 16, "<memory unit='KiB'>16384</memory>": 16, "<memory unit='k'>16384</memory>": 16,
          "<memory unit='KB'>16384</memory>": 16, "<memory unit='b'>16777217</memory>": 17, "<memory unit='bytes'>1</memory>": 1,
          "<memory unit='M'>3</memory>": 3, "<memory unit='MB'>3</memory>": 3, "<memory unit='GiB'>2</memory>": 2048,
          "<memory unit='GB'>1</memory>": 954, "<memory unit='T'>1</memory>": 1048576}


def lines(text):
    return [line for line in text.split("\n") if line and not line.startswith("#")]


@pytest.mark.parametrize("which", GOOD)
def test_good(which, tmp_path):
    text, more = GOOD[which]
    code, out, err = convert(text, "--no-schema", folder=tmp_path)
    assert code == 0 and "error" not in err, err
    assert out.startswith("# from d.xml, libvirt domain XML, by tarn define\n")
    keys = {line.split(" = ")[0]: line for line in PLAIN}
    keys.update({line.split(" = ")[0]: line for line in more if line})
    if None in more:
        keys["kernel"] = next(line for line in lines(out) if line.startswith("kernel"))
        assert re.fullmatch(r'kernel = "[!-~]+-[0-9a-f]{8}"', keys["kernel"])
    assert sorted(lines(out)) == sorted(keys.values())


@pytest.mark.parametrize("memory", MEMORY)
def test_memory(memory, tmp_path):
    code, out, err = convert(domain(memory=memory), "--no-schema", folder=tmp_path)
    assert code == 0, err
    assert f"memory = {MEMORY[memory]}" in lines(out)


def test_current_memory(tmp_path):
    more = "<currentMemory unit='MiB'>8</currentMemory>"
    out = lines(convert(domain(more=more), "--no-schema", folder=tmp_path)[1])
    assert "memory = 8" in out and "maxmem = 16" in out
    code, out, err = convert(domain(more=more.replace("8", "17")), "--no-schema", folder=tmp_path)
    assert code == 0 and "memory = 16" in lines(out) and "maxmem = 16" in lines(out)
    assert "warning: d.xml:3: <currentMemory> is more than <memory>" in err


# ---- bad ones: the line, and what is said of it

def tune(text):
    return domain(more=f"<cputune>\n{text}\n</cputune>")


BAD = {
    "empty": ("", 1, "empty"),
    "nothing": ("   \n", 2, "Start tag"),
    "another thing": ("<network/>", 1, "no domain, but <network>"),
    "another namespace": ("<domain xmlns='urn:x' type='xen'/>", 1, "no domain"),
    "no type": (domain().replace(" type='xen'", ""), 1, "type is missing"),
    "no name": (domain().replace("<name>d</name>", ""), 1, "<name> is missing"),
    "no memory": (domain(memory=""), 1, "<memory> is missing"),
    "no os": (domain().replace("<os>", "<!--").replace("</os>", "-->"), 1, "<os> is missing"),
    "no kernel": (domain(os_="<type>xen</type>"), 5, "<kernel> is missing"),
    "no os type": (domain(os_="<kernel>/k</kernel>"), 5, "<type> is missing"),
    "hvm": (domain(os_="<type>hvm</type><kernel>/k</kernel>"), 5, "paravirtual guests only"),
    "32 bits": (domain(os_="<type arch='i686'>xen</type><kernel>/k</kernel>"), 5, "not x86_64"),
    "relative kernel": (domain(os_="<type>xen</type><kernel>hello.elf</kernel>"), 5, "not absolute"),
    "long command line": (domain(os_=f"<type>xen</type><kernel>/k</kernel><cmdline>{'x' * 1024}</cmdline>"), 5, "longer than 1023"),
    "command line in Greek": (domain(os_="<type>xen</type><kernel>/k</kernel><cmdline>αβγ</cmdline>"), 5, "not ASCII"),
    "os of libvirt's future": (domain(os_="<type>xen</type><kernel>/k</kernel><shim>x</shim>"), 5, "<shim> in <os> is unknown"),
    "empty name": (domain(name=""), 2, "it is empty"),
    "long name": (domain(name="x" * 32), 2, "up to 31 characters"),
    "name with a blank": (domain(name="a b"), 2, "letters, digits"),
    "name with a slash": (domain(name="../a"), 2, "letters, digits"),
    "a number as name": (domain(name="17"), 2, "domain's number"),
    "domain 0": (domain(name="Domain-0"), 2, "control domain"),
    "an element in the name": (domain(name="<b>x</b>"), 2, "element where there should be text"),
    "two names": (domain(more="<name>e</name>"), 6, "a second <name>"),
    "uuid": (domain(more="<uuid>c7a5fdbd-edaf-9455-926a-d65c16db180</uuid>"), 6, "is none"),
    "long uuid": (domain(more="<uuid>c7a5fdbd-edaf-9455-926a-d65c16db18099</uuid>"), 6, "is none"),
    "no memory at all": (domain(memory="<memory>0</memory>"), 3, "needs some"),
    "memory unit": (domain(memory="<memory unit='PiB'>1</memory>"), 3, "unit 'PiB' is unknown"),
    "negative memory": (domain(memory="<memory>-1</memory>"), 3, "'-1' is no number"),
    "huge memory": (domain(memory="<memory unit='TiB'>18446744073709551615</memory>"), 3, "more than tarn's limit"),
    "larger memory": (domain(memory="<memory>18446744073709551616</memory>"), 3, "is no number"),
    "vcpu is no number": (domain("<vcpu>four</vcpu>"), 4, "'four' is no number"),
    "no vcpus": (domain("<vcpu>0</vcpu>"), 4, "at least one vcpu"),
    "empty vcpu": (domain("<vcpu/>"), 4, "is no number"),
    "many vcpus": (domain("<vcpu>129</vcpu>"), 4, "129 vcpus are more than a domain can have, 128"),
    "2^32 vcpus": (domain("<vcpu>4294967296</vcpu>"), 4, "is no number from 0"),
    "current over maximum": (domain("<vcpu current='5'>4</vcpu>"), 4, "5 vcpus now are more than the maximum, 4"),
    "current 0": (domain("<vcpu current='0'>4</vcpu>"), 4, "at least one vcpu"),
    "placement": (domain("<vcpu placement='numad'>4</vcpu>"), 4, "'numad' is none of static, auto"),
    "vcpu attribute": (domain("<vcpu cpusets='1'>4</vcpu>"), 4, "attribute cpusets is unknown"),
    "empty cpuset": (domain("<vcpu cpuset=''>4</vcpu>"), 4, "names no CPU"),
    "cpuset of nothing": (domain("<vcpu cpuset='1,^1'>4</vcpu>"), 4, "names no CPU"),
    "cpuset with a tail": (domain("<vcpu cpuset='1,'>4</vcpu>"), 4, "CPU's number at the end"),
    "cpuset backwards": (domain("<vcpu cpuset='4-1'>4</vcpu>"), 4, "runs backwards"),
    "pin without cpuset": (tune("<vcpupin vcpu='0'/>"), 7, "cpuset is missing"),
    "pin without vcpu": (tune("<vcpupin cpuset='0'/>"), 7, "vcpu is missing"),
    "two pins": (tune("<vcpupin vcpu='0' cpuset='1'/>\n<vcpupin vcpu='0' cpuset='1'/>"), 8, "vcpu 0 has two pins"),
    "two emulatorpins": (tune("<emulatorpin cpuset='1'/>\n<emulatorpin cpuset='1'/>"), 8, "two emulatorpins"),
    "iothreadpin of none": (tune("<iothreadpin iothread='1' cpuset='1'/>"), 7, "no iothread 1"),
    "iothreadpin 0": (tune("<iothreadpin iothread='0' cpuset='1'/>"), 7, "no iothread 0"),
    "shares": (tune("<shares>1</shares>"), 7, r"cputune 'shares' must be in range \[2, 262144\]"),
    "period": (tune("<period>999</period>"), 7, r"'period' must be in range \[1000, 1000000\]"),
    "global period": (tune("<global_period>1000001</global_period>"), 7, r"'global_period' must be in range"),
    "quota": (tune("<quota>17592186044416</quota>"), 7, r"'quota' must be in range \[1000, 17592186044415\]"),
    "emulator quota": (tune("<emulator_quota>999</emulator_quota>"), 7, "'emulator_quota' must be in range"),
    "quota is no number": (tune("<quota>half</quota>"), 7, "'half' is no number"),
    "huge quota": (tune("<quota>9223372036854775808</quota>"), 7, "is no number"),
    "two quotas": (tune("<quota>5000</quota>\n<quota>5000</quota>"), 8, "a second <quota>"),
    "real time": (tune("<vcpusched vcpus='0' scheduler='fifo' priority='1'/>"), 7, "<vcpusched> can't be carried out"),
    "cputune of libvirt's future": (tune("<warp>9</warp>"), 7, "<warp> in <cputune> is unknown"),
    "vcpus with a hole": (domain(more="<vcpus><vcpu id='0' enabled='yes'/><vcpu id='2' enabled='yes'/></vcpus>"), 6,
                          "vcpu 2 is enabled and vcpu 1 is not"),
    "vcpu 0 is off": (domain(more="<vcpus><vcpu id='0' enabled='no' hotpluggable='yes'/></vcpus>"), 6, "vcpu 0 must be enabled"),
    "vcpus beyond": (domain(more="<vcpus><vcpu id='4' enabled='yes'/></vcpus>"), 6, "vcpu 4 is beyond the last, 3"),
    "neither enabled nor hotpluggable": (domain(more="<vcpus><vcpu id='1' enabled='no'/></vcpus>"), 6, "neither enabled"),
    "iothread ids": (domain(more="<iothreadids><iothread id='2'/></iothreadids>"), 6, "in tarn they are 1, 2"),
    "many iothreads": (domain(more="<iothreads>17</iothreads>"), 4, "17 iothreads are more"),
    "disk of no iothread": (domain(more="<devices><disk type='file'><driver name='x' iothread='1'/></disk></devices>"), 6,
                            "no iothread 1"),
    "event": (domain(more="<on_crash>explode</on_crash>"), 6, "'explode' is none of"),
    "coredump of a reboot": (domain(more="<on_reboot>coredump-restart</on_reboot>"), 6, "is none of"),
    "what libvirt has not": (domain(more="<vpcu>4</vpcu>"), 6, "<vpcu> in <domain> is unknown"),
    "not closed": (domain().replace("</os>", ""), 7, "mismatch"),
    "cut": (domain()[:-12], 5, "[Pp]remature|mismatch"),
    "entity": (domain(name="&x;"), 2, "[Ee]ntity 'x' not defined"),
}


@pytest.mark.parametrize("which", BAD)
def test_bad(which, tmp_path):
    text, line, why = BAD[which]
    code, out, err = convert(text, "--no-schema", folder=tmp_path)
    assert code == 1 and not out
    first = next(e for e in err.split("\n") if e.startswith("error: "))
    assert first.startswith(f"error: d.xml:{line}: " if line else "error: d.xml: "), err
    assert re.search(why, first), err
    assert all(re.match(r"(error|warning): d\.xml(:\d+)?: .", e) for e in err.split("\n")[:-1]), err


def test_all_that_is_wrong_is_told(tmp_path):
    code, _, err = convert(domain("<vcpu>x</vcpu>", "<vpcu/><on_crash>y</on_crash>", name="1"), "--no-schema", folder=tmp_path)
    assert code == 1 and len(re.findall("^error: ", err, re.M)) == 4


def test_2012(tmp_path):
    text = domain("<vcpu placement='auto'>4</vcpu>", "<cputune>\n<emulatorpin cpuset='2'/></cputune>")
    code, out, err = convert(text, "--place=2012", folder=tmp_path, env={"TARN_SCHEMA": ""})
    assert code == 1 and not out and "d.xml:7: emulatorpin can't be given beside placement auto" in err
    code, out, _ = convert(domain(), "--place=2012", folder=tmp_path)
    assert code == 0 and 'place = "2012"' in out
    code, out, err = convert(domain(), "--place=2013", folder=tmp_path)
    assert code == FAILED and "neither modern nor 2012" in err


def test_what_is_passed_over_is_told(tmp_path):
    more = ("<features><acpi/></features>\n<clock offset='utc'/>\n<devices>\n<emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
            "<interface type='network'/>\n<interface type='network'/>\n<disk type='file'/></devices>"
            "<numatune><memory mode='strict' nodeset='0'/></numatune>")
    code, out, err = convert(domain("<vcpu>2</vcpu>", more).replace("'xen'>", "'kvm'>", 1), "--no-schema", folder=tmp_path)
    assert code == 0 and out
    told = re.findall(r"^warning: d\.xml:(\d+): (.*)$", err, re.M)
    for line, what in (("1", "<domain>: type 'kvm' is taken as xen"), ("6", "<features> is ignored"), ("7", "<clock> is ignored"),
                       ("9", "<emulator> is ignored: '/usr/bin/qemu-system-x86_64' is not the domain file"),
                       ("10", "<interface> is ignored"), ("12", "<disk> is ignored: there is no emulator")):
        assert any(n == line and w.startswith(what) for n, w in told), (line, what, told)
    assert len([w for _, w in told if "interface" in w]) == 1 and any("nodeset is ignored" in w for _, w in told)


def test_overrides(tmp_path):
    code, out, err = convert(domain(), "name=e", 'extra="a b"', "cap=50", 'cpus=["1","2"]', "pool=rt", folder=tmp_path)
    assert code == 0, err
    out = lines(out)
    assert out.count('name = "e"') == 1 and 'name = "d"' not in out
    assert {'extra = "a b"', "cap = 50", 'cpus = ["1","2"]', 'pool = "rt"'} < set(out)
    assert convert(domain(), "name", folder=tmp_path)[0] == FAILED


def test_emulator_and_disks(tmp_path):
    (tmp_path / "disk").write_bytes(bytes(1000))
    disk = f"<disk type='file' device='disk'><driver name='x'/><source file='{tmp_path}/disk'/><target dev='xvda'/></disk>"
    more = ("<devices>" + disk + disk.replace("name='x'", "name='x' iothread='2'") + disk.replace("'disk'>", "'cdrom'>", 1)
            + disk.replace("/disk'/>", "/none'/>") + "<emulator>/stub.cfg</emulator></devices><iothreads>2</iothreads>")
    code, out, err = convert(domain(more=more), "--no-schema", folder=tmp_path)
    assert code == 0, err
    assert 'emulator = "/stub.cfg"' in lines(out) and 'emulator_disk = ["2", "2,iothread=2"]' in lines(out)
    assert err.count("an empty one of the file's size") == 2 and "none of its kind" in err and "no file to be found" in err
    many = "<devices><emulator>/stub.cfg</emulator>" + disk * 9 + "</devices>"
    assert "serves up to 8" in convert(domain(more=many), "--no-schema", folder=tmp_path)[2]


def test_the_example(tmp_path):
    """That of the documentation: its text, byte by byte."""
    with open(os.path.join(EXAMPLES, "web.xml"), encoding="utf-8") as f:
        code, out, err = convert(f.read(), "--no-schema", folder=tmp_path)
    assert (code, err) == (0, "")
    with open(os.path.join(GOLDEN, "web.cfg"), encoding="utf-8") as f:
        assert out == f.read()


# ---- libvirt's schema

@pytest.mark.skipif(not os.path.exists(SCHEMA), reason="libvirt's schema is not installed (libvirt0)")
class TestSchema:
    def test_the_example(self, tmp_path):
        with open(os.path.join(EXAMPLES, "web.xml"), encoding="utf-8") as f:
            assert convert(f.read(), folder=tmp_path)[::2] == (0, "")

    @pytest.mark.parametrize("which", [w for w in GOOD if w not in ("Latin-1", "comments and namespaces", "cpuset before auto")])
    def test_what_we_take_it_takes(self, which, tmp_path):
        """But for what only libvirt's reader takes, not its schema."""
        text = GOOD[which][0]
        code, _, err = convert(text, folder=tmp_path)
        looser = {"blanks", "pins", "no tunes", "tunes", "uuid"}
        assert code == 0 or which in looser, err

    @pytest.mark.parametrize("more, why", [
        ("<features><apci/></features>", "features"), ("<clock offset='noon'/>", "clock"),
        ("<devices><disk type='flie'/></devices>", "devices|disk"),
    ])
    def test_what_we_pass_over_it_looks_at(self, more, why, tmp_path):
        assert convert(domain(more=more), "--no-schema", folder=tmp_path)[0] == 0
        code, out, err = convert(domain(more=more), folder=tmp_path)
        assert code == 1 and not out and re.search(f"error: d.xml(:\\d+)?: against the schema: .*({why})", err), err


def test_schemas_by_name(tmp_path):
    (tmp_path / "any.rng").write_text("<element name='domain' xmlns='http://relaxng.org/ns/structure/1.0'><zeroOrMore>"
                                      "<choice><attribute name='type'/><element name='only'><text/></element></choice>"
                                      "</zeroOrMore></element>")
    code, _, err = convert(domain(), "--schema=any.rng", folder=tmp_path)
    assert code == 1 and "against the schema" in err
    assert convert(domain(), folder=tmp_path, env={"TARN_SCHEMA": "any.rng"})[0] == 1
    assert convert(domain(), "--no-schema", folder=tmp_path, env={"TARN_SCHEMA": "any.rng"})[0] == 0
    code, _, err = convert(domain(), "--schema=none.rng", folder=tmp_path)
    assert code == FAILED and "no schema" in err
    (tmp_path / "bad.rng").write_text("<element")
    code, _, err = convert(domain(), "--schema=bad.rng", folder=tmp_path)
    assert code == FAILED and "bad.rng" in err


# ---- hostile documents

def laughs():
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{("&a%d;" % (i - 1)) * 10}">' for i in range(1, 12))
    return f"<?xml version='1.0'?><!DOCTYPE domain [{entities}]>" + domain(name="&a11;")


HOSTILE = {
    "a billion laughs": (laughs(), "document type is not taken"),
    "laughs in an attribute": (laughs().replace("type='xen'", "type='&a11;'"), "document type is not taken"),
    "an external entity": ("<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + domain(name="&x;"), "document type"),
    "an external document type": ("<!DOCTYPE domain SYSTEM 'http://127.0.0.1:9/d.dtd'>" + domain(), "document type"),
    "a parameter entity": ("<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///dev/zero'> %p;]>" + domain(), "document type"),
    "depth": ("<domain type='xen'>" + "<devices>" * 100000, "[Dd]epth|unknown|Excessive"),
    "depth inside": (domain(more="<metadata>" + "<a>" * 5000 + "</a>" * 5000 + "</metadata>"), "[Dd]epth|Excessive"),
    "not UTF-8": (domain(name="d").encode().replace(b">d<", b">\xff\xfe<"), "UTF-8"),
    "cut UTF-8": (domain().encode() + b"<!-- \xe2\x82", "."),
    "NUL": (domain().encode().replace(b">d<", b">d\0e<"), "."),
    "NULs": (bytes(1000), "."),
    "a control character": (domain(name="d&#1;"), "."),
    "size": (domain(more=f"<description>{'x' * (1 << 20)}</description>"), "larger than 1048576 bytes"),
    "random bytes": (b"<" + random.Random(1).randbytes(5000), "."),
    "an unknown encoding": ("<?xml version='1.0' encoding='EBCDIC-X'?>" + domain(), "."),
    "a long attribute": (domain(f"<vcpu cpuset='{'1,' * 100000}'>4</vcpu>"), "number"),
    "a long number": (domain(f"<vcpu>{'9' * 100000}</vcpu>"), "no number"),
    "many unknown elements": (domain(more="".join(f"<x{i}/>" for i in range(50000))), "unknown"),
}


@pytest.mark.parametrize("which", HOSTILE)
@pytest.mark.parametrize("schema", [False, True])
def test_hostile(which, schema, tmp_path):
    text, why = HOSTILE[which]
    start = time.time()
    code, out, err = convert(text, *([] if schema else ["--no-schema"]), folder=tmp_path)
    assert code == 1 and not out and re.search(why, err), err[:1000]
    assert "root:" not in err and time.time() - start < 10 * SCALE


LARGE = {
    "pins": domain("<vcpu>128</vcpu>", "<cputune>" + "".join(
        f"<vcpupin vcpu='{v}' cpuset='{','.join(str(c) for c in range(0, 256, 2))}'/>" for v in range(128)) + "</cputune>"),
    "devices": domain(more="<devices>" + "".join(f"<d{i}/>" for i in range(50000)) + "</devices>"),
    "comments": domain(more="<!--x-->" * 50000),
}


@pytest.mark.parametrize("which", LARGE)
def test_large_but_good(which, tmp_path):
    code, out, err = convert(LARGE[which], "--no-schema", folder=tmp_path)
    assert code == 0 and out and err.count("\n") <= 40, err[:500]


def test_mutations(tmp_path):
    """Whatever is done to a good document: a text or an error, in time."""
    with open(os.path.join(EXAMPLES, "web.xml"), "rb") as f:
        good = f.read()
    r = random.Random(5)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(r.randrange(1, 4)):
            at, n = r.randrange(len(data)), r.randrange(1, 20)
            data[at:at + n] = r.choice([b"", bytes(data[at:at + n]) * 2, r.randbytes(2), b"9" * 12, b"-", b"<a>", b"'"])
        code, out, err = convert(bytes(data), "--no-schema", folder=tmp_path)
        assert (code == 0 and out) or (code == 1 and not out and "error: d.xml" in err), (bytes(data), code, err)


# ---- the folder of definitions, with a fake machine

class Kept(Host):
    """A host with a folder for definitions, and documents and kernels beside it."""

    def __init__(self, folder):
        super().__init__(folder)
        self.folder, self.kept = folder, folder / "kept"
        (folder / "kernel").write_bytes(b"a kernel")

    def xml(self, name="d", **more):
        path = self.folder / f"{name}.xml"
        more.setdefault("os_", f"<type>xen</type><kernel>{self.folder}/kernel</kernel>")
        path.write_text(domain(name=name, **more))
        return str(path)

    def up(self, status=0, **kw):
        code, out, err = self.run("up", "--state", str(self.kept), limit=130, **kw)
        assert code == status, (code, out, err)
        return err

    def ok(self, *args, **kw):
        code, out, err = self.run(*args, limit=kw.pop("limit", 40), **kw)
        assert code == 0, (args, code, out, err)
        return out

    def text(self, name="d"):
        return (self.kept / f"{name}.cfg").read_text()

    def names(self):
        return sorted(n[:-4] for n in os.listdir(self.kept) if n.endswith(".cfg"))

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)

    def brought(self):
        """What the machine found at its last start."""
        words = self.words()
        last = max(n for n, w in enumerate(words) if w.startswith("brought there")) if words else 0
        return {w.split()[1]: int(w.split()[2]) for w in words[last:] if w.startswith("brought ")}


@pytest.fixture
def kept(tmp_path):
    import io
    import tarfile
    h = Kept(tmp_path)
    with tarfile.open(os.path.join(h.env["TARN_IMAGES"], "control.tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("there")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    yield h
    h.kill_all()


def test_define(kept):
    kept.up()
    path = kept.xml()
    assert kept.ok("define", path) == f"Domain 'd' defined from {path}\n\n"
    code, text, _ = kept.run("define", "--print", path)
    assert code == 0 and kept.text() == text and f'kernel = "{kept.folder}/kernel"' in text
    puts = [w.split()[1:] for w in kept.words() if w.startswith("put ")]
    assert puts == [[f"{kept.folder}/kernel", str(zlib.crc32(b"a kernel"))], [path, str(zlib.crc32(text.encode()))]]
    kept.ok("virsh", "define", kept.xml("e"))
    kept.ok("xl", "virsh", "define", "--validate", "--file", kept.xml("f"))
    assert kept.names() == ["d", "e", "f"]
    kept.ok("virsh", "undefine", "e")
    assert kept.names() == ["d", "f"]
    code, out, err = kept.run("virsh", "define", kept.xml("17"))
    assert code == 1 and not out and err.endswith(f"error: Failed to define domain from {kept.folder}/17.xml\n")
    assert kept.run("virsh", "define", str(kept.folder / "none.xml"))[0] == 1
    assert kept.names() == ["d", "f"]


def test_create(kept):
    """A domain of XML that is no definition."""
    kept.up()
    path = kept.xml()
    assert kept.ok("virsh", "create", path) == f"Domain 'd' created from {path}\n\n"
    assert kept.words()[-2:] == [f"create {path}", "definitions -g"] and kept.names() == []
    (kept.folder / "c.cfg").write_text('name = "c"\nkernel = "kernel"\n')
    kept.ok("virsh", "create", str(kept.folder / "c.cfg"))
    assert kept.words()[-2] == f"create {kept.folder}/c.cfg"
    code, _, err = kept.run("virsh", "create", kept.xml("17"))
    assert code == 1 and "Failed to create domain from" in err


def test_domain_files_can_be_defined(kept):
    (kept.folder / "stub.cfg").write_text('name = "stub"\nkernel = "stub.elf"\n')
    (kept.folder / "stub.elf").write_bytes(b"a stub")
    (kept.folder / "c.cfg").write_text('name = "c"\nkernel = "kernel"\nemulator = "stub.cfg"\n')
    kept.up()
    kept.ok("define", str(kept.folder / "c.cfg"))
    assert kept.text("c") == (kept.folder / "c.cfg").read_text()
    kept.ok("down")
    for name in ("stub.cfg", "stub.elf", "c.cfg", "kernel"):
        os.unlink(kept.folder / name)
    kept.up()
    brought = kept.brought()
    assert brought["stub.elf"] == zlib.crc32(b"a stub") and brought["kernel"] == zlib.crc32(b"a kernel")
    assert {"stub.cfg", "definitions/c.cfg"} < set(brought)


def test_an_emulator_comes_along(kept):
    (kept.folder / "stub.cfg").write_text('name = "stub"\nkernel = "stub.elf"\nemulator = "more.cfg"\n')
    (kept.folder / "more.cfg").write_text('name = "more"\n')
    (kept.folder / "stub.elf").write_bytes(b"a stub")
    (kept.folder / "c.cfg").write_text('name = "c"\nkernel = "none.elf"\nemulator = "stub.cfg"\n')
    kept.up()
    kept.ok("create", str(kept.folder / "c.cfg"))
    assert [w.split()[1] for w in kept.words() if w.startswith("put ")] == ["stub.elf", "stub.cfg", f"{kept.folder}/c.cfg"]


def test_what_came_with_the_machine_is_kept(kept):
    (kept.folder / "c.cfg").write_text(f'name = "c"\nkernel = "{kept.folder}/kernel"\nramdisk = "disk"\n')
    (kept.folder / "disk").write_bytes(b"a disk")
    assert kept.run("up", "--state", str(kept.kept), "--dom", str(kept.folder / "c.cfg"))[0] == 0
    kept.ok("xl", "virsh", "define", str(kept.folder / "c.cfg"))
    kept.kill()
    for name in ("kernel", "disk", "c.cfg"):
        os.unlink(kept.folder / name)
    kept.up()
    assert {f"{kept.folder}/kernel", "disk", "definitions/c.cfg"} <= set(kept.brought())


def test_long_names_of_kernels(kept):
    """Those that an archive can't have get other names, or stay away when they are named by hand."""
    long = "k" * 110
    (kept.folder / long).write_bytes(b"long")
    (kept.folder / "c.cfg").write_text(f'name = "c"\nkernel = "{long}"\n')
    kept.up()
    kept.ok("define", kept.xml(os_=f"<type>xen</type><kernel>{kept.folder}/{long}</kernel>"))
    kept.ok("define", str(kept.folder / "c.cfg"))
    name = re.search(r'^kernel = "(k{80}-[0-9a-f]{8})"$', kept.text(), re.M).group(1)
    kept.kill()
    assert f"{long}: too long a name" in kept.up()
    assert kept.brought()[name] == zlib.crc32(b"long") and kept.names() == ["c", "d"]


@pytest.mark.parametrize("how", ["down", "kill", "poweroff"])
def test_definitions_outlive_machines(kept, how):
    kept.up()
    kept.ok("define", kept.xml())
    kept.ok("define", kept.xml("e"))
    kept.ok("virsh", "append", "d", "cap = 50")
    kept.ok("virsh", "undefine", "e")
    text = kept.text()
    assert text.endswith("cap = 50\n") and kept.names() == ["d"]
    if how == "down":
        kept.ok("down")
    elif how == "kill":
        kept.kill()
    else:
        kept.run("--timeout", "2", "xl", "poweroff")
    os.unlink(kept.folder / "kernel")
    assert kept.up() == ""
    brought = kept.brought()
    assert brought["definitions/d.cfg"] == zlib.crc32(text.encode()) and "definitions/e.cfg" not in brought
    assert brought[f"{kept.folder}/kernel"] == zlib.crc32(b"a kernel")
    assert f"definition d {len(text)}\n{text}" in kept.ok("xl", "definitions", "-d")
    kept.ok("virsh", "append", "d", "cap = 60")
    assert kept.text() == text + "cap = 60\n"


def test_without_a_folder_nothing_is_asked(kept):
    assert kept.run("up")[0] == 0
    kept.ok("define", kept.xml())
    assert not [w for w in kept.words() if w.startswith("definitions")] and not kept.kept.exists()
    assert kept.run("down")[0] == 0


def test_copies_of_kernels_go_with_their_definitions(kept):
    kept.up()
    kept.ok("define", kept.xml())
    (kept.folder / "other").write_bytes(b"x")
    kept.ok("put", str(kept.folder / "other"))
    assert len(os.listdir(kept.kept / "files")) == 3
    kept.ok("down")
    assert len(os.listdir(kept.kept / "files")) == 1
    kept.up()
    kept.ok("virsh", "undefine", "d")
    kept.ok("down")
    assert os.listdir(kept.kept / "files") == []


def test_a_new_kernel_of_the_same_name(kept):
    kept.up()
    kept.ok("define", kept.xml())
    (kept.folder / "kernel").write_bytes(b"a newer kernel")
    kept.ok("define", kept.xml())
    kept.kill()
    kept.up()
    assert kept.brought()[f"{kept.folder}/kernel"] == zlib.crc32(b"a newer kernel")


def test_foreign_files_are_left_alone(kept):
    """What lies there that is no definition, or none that the control domain takes."""
    kept.kept.mkdir()
    foreign = {"README": "mine\n", "web.cfg": 'name = "other"\n', "no-name.cfg": "memory = 3\n", "a b.cfg": 'name = "a b"\n',
               "bad.cfg": 'name = "bad"\n', "17.xml": "<x/>", ".hidden": "x"}
    for name, text in foreign.items():
        (kept.kept / name).write_text(text)
    (kept.kept / "folder.cfg").mkdir()
    (kept.kept / "link.cfg").symlink_to(kept.folder / "elsewhere")
    (kept.kept / "large.cfg").write_text('name = "large"\n' + "#" * 20000)
    (kept.kept / "good.cfg").write_text('name = "good"\nkernel = "kernel"\n')
    (kept.kept / "kernel").write_bytes(b"beside")
    err = kept.up()
    for name in ("web.cfg", "no-name.cfg", "folder.cfg", "link.cfg", "large.cfg"):
        assert err.count(f"{kept.kept}/{name}: no definition: ") == 1, err
    assert "definitions/bad.cfg" in err and "good.cfg" not in err and "left out" in err
    brought = kept.brought()
    assert [n for n in brought if n.startswith("definitions/")] == ["definitions/bad.cfg", "definitions/good.cfg"]
    assert brought["kernel"] == zlib.crc32(b"beside")
    for name in ("web", "folder", "link", "large"):
        code, out, err = kept.run("define", kept.xml(name))
        assert code == FAILED and out and f"{name}.cfg: is not tarn's" in err
    assert kept.run("virsh", "append", "good", "cap = 1")[0] == FAILED  # as others are still not saved
    assert kept.text("good").endswith("cap = 1\n")
    code, _, err = kept.run("down")
    assert code == FAILED and "still up" in err
    for name in ("web", "folder", "link", "large"):
        assert kept.run("virsh", "undefine", name)[0] == (0 if name == "large" else FAILED)
    kept.ok("down")
    assert {n: (kept.kept / n).read_text() for n in foreign} == foreign
    assert (kept.kept / "link.cfg").is_symlink() and (kept.kept / "folder.cfg").is_dir()
    assert not (kept.folder / "elsewhere").exists() and len((kept.kept / "large.cfg").read_text()) > 20000


def test_a_file_that_somebody_changed(kept):
    kept.up()
    kept.ok("define", kept.xml())
    mine = kept.text() + "# mine\n"
    (kept.kept / "d.cfg").write_text(mine)
    assert kept.run("xl", "say", "x") == (0, "x\n", "")
    code, _, err = kept.run("virsh", "append", "d", "cap = 50")
    assert code == FAILED and "d.cfg: is not tarn's, or was changed" in err and kept.text() == mine
    assert kept.run("xl", "say", "x") == (0, "x\n", "")
    code, _, err = kept.run("down")
    assert code == FAILED and "--force" in err and kept.text() == mine
    assert kept.run("down", "--force")[0] == 0 and kept.text() == mine
    kept.up()
    kept.ok("virsh", "append", "d", "cap = 60")
    assert kept.text() == mine + "cap = 60\n"
    (kept.kept / "d.cfg").write_text(mine)
    kept.ok("virsh", "undefine", "d")
    assert kept.text() == mine


def test_a_file_that_somebody_removed(kept):
    kept.up()
    kept.ok("define", kept.xml())
    text = kept.text()
    os.unlink(kept.kept / "d.cfg")
    kept.ok("down")
    assert kept.text() == text


def test_one_machine_at_a_time(kept):
    kept.up()
    kept.ok("define", kept.xml())
    code, _, err = kept.run("--name", "other", "up", "--state", str(kept.kept))
    assert code == FAILED and re.search(r"/default \(pid \d+\) uses it", err)
    assert kept.machines() == ["default"]
    kept.kill()
    kept.ok("--name", "other", "up", "--state", str(kept.kept))
    kept.ok("--name", "other", "virsh", "append", "d", "cap = 1")
    kept.ok("--name", "other", "down")
    assert kept.text().endswith("cap = 1\n")


@pytest.mark.parametrize("dump", ["cut", "short", "empty", "name", "long", "more", "fails"])
def test_a_dump_that_is_not_whole(kept, dump):
    """Nothing that was written is lost."""
    kept.up()
    kept.ok("define", kept.xml())
    text = kept.text()
    assert kept.run("xl", "dump", dump)[0] == (FAILED if dump == "fails" else 0)
    code, _, err = kept.run("virsh", "append", "d", "cap = 50")
    assert code == FAILED and "definitions" in err and kept.text() == text
    code, _, err = kept.run("xl", "poweroff")
    assert code == FAILED and "still up" in err
    code, _, err = kept.run("down")
    assert code == FAILED and "still up" in err
    kept.run("xl", "dump", "whole")
    kept.ok("down")
    assert kept.text() == text + "cap = 50\n"


def test_a_folder_that_can_not_be_written(kept):
    kept.up()
    kept.ok("define", kept.xml())
    text = kept.text()
    (kept.kept / ".tarn.new").mkdir()
    code, _, err = kept.run("virsh", "append", "d", "cap = 50")
    assert code == FAILED and ".tarn: Is a directory" in err and kept.text() == text
    (kept.kept / ".tarn.new").rmdir()
    kept.ok("down")
    assert kept.text() == text + "cap = 50\n"


@pytest.mark.parametrize("text", ["", "tarn 2\n", "tarn 1\nnonsense\n", "tarn 1\nfile ../x y\n", "tarn 1\ndefinition x d\n"])
def test_a_list_that_is_not_ours(kept, text):
    kept.kept.mkdir()
    (kept.kept / ".tarn").write_text(text)
    err = kept.up(status=FAILED)
    assert ".tarn: is not tarn's" in err and not kept.machines() and (kept.kept / ".tarn").read_text() == text


@pytest.mark.parametrize("seed", range(3))
def test_a_tarn_that_is_killed_while_it_saves(kept, seed):
    """Each definition's file is one whole text at any time, and the next command goes on from there."""
    kept.up()
    kept.ok("define", kept.xml())
    kept.ok("define", kept.xml("e"))
    begin = time.time()
    kept.ok("virsh", "append", "d", "# first")
    took, first, r = time.time() - begin, kept.text(), random.Random(seed)
    for n in range(25):
        process = kept.start("virsh", "append", "d", f"# {n}")
        time.sleep(r.random() * took * 1.2)
        process.kill()
        process.communicate()
        kept.ok("xl", "say", "x")
        assert kept.names() == ["d", "e"] and kept.text("d").startswith(first) and kept.text("d").endswith("\n")
    kept.ok("virsh", "append", "d", "# last")
    assert kept.text().endswith("# last\n")
    assert sorted(os.listdir(kept.kept)) in ([".tarn", "d.cfg", "e.cfg", "files"], [".tarn", ".tarn.new", "d.cfg", "e.cfg", "files"])


@pytest.mark.parametrize("args", [
    ["define"], ["define", "/none.xml"], ["define", "--nonsense", "x"], ["define", "--place"], ["define", "x", "y"],
    ["define", "--print"], ["cpu-baseline"], ["cpu-baseline", "/none"], ["cpu-baseline", "-x"], ["down", "--now"],
    ["up", "--state"], ["up", "--state", "/proc/none"], ["up", "--state", "/dev/null"],
])
def test_bad_arguments(kept, args):
    code, out, err = kept.run(*args)
    assert code == FAILED and not out and err.startswith("tarn: ") and not kept.machines()


@pytest.mark.parametrize("command", [["define"], ["virsh", "define"], ["virsh", "create"], ["virsh", "list"], ["explain"]])
def test_no_machine(kept, command):
    kept.fails(*command, kept.xml(), why="not up")


def test_words_of_others(kept):
    """virsh's, explain's and nemesis' words are the control domain's."""
    kept.up()
    assert kept.ok("virsh", "vcpupin", "d", "1", "2-3") == "virsh vcpupin d 1 2-3\n"
    assert kept.ok("xl", "virsh", "list", "--all") == "virsh list --all\n"
    for args in (["nemesis"], ["nemesis", "add", "a"], ["nemesis", "del"], ["nemesis", "sub", "a"], ["explain"]):
        code, _, err = kept.run(*args)
        assert code == FAILED and err.startswith("tarn: usage: tarn " + args[0])
    for args, words in ((["nemesis", "add", "a", "b"], "sched-group-add a b"), (["nemesis", "del", "b"], "sched-group-remove b"),
                        (["nemesis", "list"], "sched-group-list"), (["explain", "d"], "explain d"),
                        (["nemesis", "dissolve", "a"], "sched-group-dissolve a")):
        assert kept.run(*args)[0] == 2  # the fake does not know them
        assert words in kept.words()


# ---- the same with a real machine

class RealKept(Real, Kept):
    def __init__(self, folder):
        Kept.__init__(self, folder)
        self.env["TARN_IMAGES"] = BUILD
        self.env.pop("QEMU", None)


@pytest.fixture
def real(tmp_path):
    h = RealKept(tmp_path)
    yield h
    h.kill_all()


def emulated(real):
    """A disk that is served by an iothread of the emulator, each where the XML pins it."""
    (real.folder / "disk").write_bytes(bytes(1 << 20))
    real.ok("define", real.xml("em", memory="<memory unit='MiB'>16</memory>", vcpu="<vcpu cpuset='1-2'>2</vcpu>",
                               os_="<type>xen</type><kernel>/client.elf</kernel><cmdline>disk rate=100</cmdline>", more=(
        "<iothreads>1</iothreads><cputune><emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='3'/></cputune><devices>"
        "<emulator>/stub.cfg</emulator><disk type='file'><driver name='tap' iothread='1'/>"
        f"<source file='{real.folder}/disk'/><target dev='xvda'/></disk></devices>")))
    real.ok("virsh", "start", "em")
    rows = real.ok("xl", "vcpu-list", "em", "em-emu")
    for row in (r"em +\d+ +0 .* 1-2 / all", r"em +\d+ +1 .* 1-2 / all", r"em-emu +\d+ +emu .* 0 / all", r"em-emu +\d+ +io1 .* 3 / all"):
        assert re.search(f"^{row}$", rows, re.M), rows
    real.ok("virsh", "destroy", "em")
    real.ok("virsh", "undefine", "em")


def test_a_life(real):
    """Define, start, change for the next start, the machine's end, its crash: all is still there."""
    example = os.path.join(EXAMPLES, "web.xml")
    real.up()
    assert real.ok("define", example) == f"Domain 'web' defined from {example}\n\n"
    real.ok("virsh", "start", "web")
    until(lambda: re.search(r"^web +\d+ +\d+ +2 ", real.ok("xl", "list"), re.M))  # the guest itself starts the second
    real.ok("virsh", "schedinfo", "web", "--config", "--set", "vcpu_quota=20000")
    assert "vcpu_quota = 20000" in real.text("web")
    real.ok("console", "Domain-0", input=b"virsh schedinfo web --config vcpu_quota=30000\n")
    assert "vcpu_quota = 30000" in real.text("web")
    assert re.search(r"vcpupin|cpuset", real.ok("explain", "web"))
    real.ok("down")
    real.up()
    assert "web" in real.ok("virsh", "list", "--all")
    real.ok("virsh", "vcpupin", "web", "1", "3", "--config")
    text = real.text("web")
    assert re.search(r'^vcpupin *= *\[.*"1:3".*\]', text, re.M)
    real.kill()
    real.up()
    assert real.text("web") == text
    again = real.folder / "again.xml"  # and back to XML, and from that to the same text
    again.write_text(real.ok("virsh", "dumpxml", "web", "--inactive"))
    same = real.ok("define", "--print", str(again))
    assert [line for line in lines(text) if not line.startswith("uuid")] == [
        line for line in lines(same) if not line.startswith("uuid")]
    real.ok("virsh", "start", "web")
    assert real.run("virsh", "define", real.xml("e", vcpu="<vcpu>129</vcpu>"))[0] == 1
    own = "<type>xen</type><kernel>/burn.elf</kernel>"
    real.ok("define", real.xml("far", os_=own, more="<cputune><vcpupin vcpu='0' cpuset='200'/></cputune>"))
    code, _, err = real.run("virsh", "start", "far")
    assert code == 1 and "CPU 200" in err
    emulated(real)
    real.ok("virsh", "undefine", "far")
    real.ok("virsh", "undefine", "web")
    assert real.names() == []
    real.ok("xl", "poweroff")
    assert gone(real.pid())
    assert real.up() == "" and "web" not in real.ok("virsh", "list", "--all")


# ---- cpu-baseline

def capabilities(model, *features, vendor="Intel"):
    listed = "".join(f"<feature name='{f}'/>" for f in features)
    return (f"<capabilities><host><uuid>x</uuid><cpu><arch>x86_64</arch><model>{model}</model><vendor>{vendor}</vendor>"
            f"<topology sockets='1'/>{listed}</cpu></host><guest><cpu><model>not this</model></cpu></guest></capabilities>\n")


class Baseline:
    def __init__(self, folder):
        self.folder, self.map = folder, folder / "map"
        self.map.mkdir()
        for name, base in (("Small", "a b c"), ("Large", "a b c d e"), ("Other", "a b c z")):
            (self.map / f"x86_{name}.xml").write_text(f"<cpus><model name='{name}'><decode host='on'/><vendor name='Intel'/>" + "".join(
                f"<feature name='{f}'/>" for f in base.split()) + "</model></cpus>")
        (self.map / "x86_features.xml").write_text("<cpus><feature name='a'/></cpus>")

    def run(self, *texts, known=True):
        """(status, model, features, stderr)"""
        paths = []
        for i, text in enumerate(texts):
            paths.append(self.folder / f"{i}.xml")
            paths[-1].write_text(text)
        done = subprocess.run([TARN, "cpu-baseline", *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20 * SCALE,
                              env=dict(os.environ, TARN_CPU_MAP=str(self.map if known else self.folder)), check=False)
        if done.returncode:
            return done.returncode, None, done.stdout, done.stderr
        xml = ElementTree.fromstring(done.stdout)
        assert xml.attrib == {"mode": "custom", "match": "exact"}
        return 0, xml.findtext("model"), [f.get("name") for f in xml.findall("feature")], done.stderr


@pytest.fixture
def baseline(tmp_path):
    return Baseline(tmp_path)


def test_baseline(baseline):
    """The features that each host has, by the best of the known models and what is beyond it."""
    assert baseline.run(capabilities("Large", "x")) == (0, "Large", ["x"], "")
    assert baseline.run(capabilities("Large", "x", "y"), capabilities("Small", "y", "d")) == (0, "Small", ["d", "y"], "")
    assert baseline.run(capabilities("Small", "d", "e"), capabilities("Large")) == (0, "Large", [], "")
    assert baseline.run(capabilities("Large"), capabilities("Other"), capabilities("Large")) == (0, "Small", [], "")
    assert baseline.run(capabilities("Small") + capabilities("Large")) == (0, "Small", [], "")
    cpu = "<cpu mode='custom'><model>Large</model><vendor>Intel</vendor><feature policy='disable' name='a'/></cpu>"
    assert baseline.run(cpu) == (0, None, ["b", "c", "d", "e"], "")


def test_baseline_of_unknown_models(baseline):
    assert baseline.run(capabilities("New", "x", "y"), capabilities("New", "y", "z"), known=False) == (0, "New", ["y"], "")
    code, _, out, err = baseline.run(capabilities("New"), capabilities("Newer"), known=False)
    assert code == 1 and not out and "what its model has is not known" in err
    code, _, out, err = baseline.run(capabilities("Small"), capabilities("Small", vendor="AMD"))
    assert code == 1 and not out and "vendor is AMD" in err


@pytest.mark.parametrize("text", ["", "<x/>", "<cpu>", laughs(), "<cpu><model>../../x</model></cpu>", "<cpu><feature/></cpu>",
                                  "<cpu><feature name='a\"'/></cpu>"], ids=range(7))
def test_bad_capabilities(baseline, text):
    code, _, out, err = baseline.run(text)
    assert code in (1, FAILED) and not out and err


@pytest.mark.skipif(not os.path.exists("/usr/share/libvirt/cpu_map"), reason="libvirt's models are not installed (libvirt0)")
def test_baseline_of_libvirts_models(tmp_path):
    (tmp_path / "a.xml").write_text(capabilities("Haswell", "vmx") + capabilities("SandyBridge", "vmx", "avx2"))
    done = subprocess.run([TARN, "virsh", "cpu-baseline", tmp_path / "a.xml"], stdout=subprocess.PIPE, text=True, timeout=20, check=True)
    xml = ElementTree.fromstring(done.stdout)
    assert xml.findtext("model") == "SandyBridge" and {"vmx", "avx2"} <= {f.get("name") for f in xml.findall("feature")}
