using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;

namespace Oxen.Fuzz.Doors;

/// <summary>Every parser that reads what a program, a person or the far end of a stream wrote.</summary>
public sealed class DoorFuzz
{
    private const int Rounds = 1_000_000;

    // A name is a string, a few arrays on the way; nothing grows with what was only announced.
    private const long Small = 4096;

    private static readonly byte[] V4 = [1, 10, 0, 0, 1, 0, 80], V6 = [4, .. new byte[15], 1, 1, 187], Name = [3, 11, .. "example.org"u8, 1, 187], Numeric = [3, 9, .. "127.0.0.1"u8, 0, 80];

    [Fact]
    public void Socks5_greetings_passwords_and_requests()
    {
        ParserFuzz.Run("SOCKS5 greeting", Rounds, [[5, 1, 0], [5, 2, 0, 2], [5, 255, .. new byte[255]]], Small, static b => Socks5Wire.ReadGreeting(b, out _, out int n) switch
        {
            WireResult.Complete => n <= b.Length && n > 2,
            WireResult.Incomplete => b.Length < Socks5Wire.MaxMessageBytes ? b.Length > 0 : throw new InvalidDataException("incomplete for ever"),
            _ => false,
        });
        ParserFuzz.Run("SOCKS5 password", Rounds, [[1, 1, 97, 1, 98], [1, 0, 0], [1, 255, .. new byte[255], 255, .. new byte[255]]], Small, static b => Socks5Wire.ReadPassword(b, out _, out _, out int n) switch
        {
            WireResult.Complete => n <= b.Length && n > 2,
            WireResult.Incomplete => b.Length < Socks5Wire.MaxMessageBytes ? b.Length > 0 : throw new InvalidDataException("incomplete for ever"),
            _ => false,
        });
        ParserFuzz.Run("SOCKS5 request", Rounds, [[5, 1, 0, .. V4], [5, 1, 0, .. V6], [5, 3, 0, .. Name], [5, 1, 0, .. Numeric]], Small, static b =>
        {
            WireResult result = Socks5Wire.ReadRequest(b, out _, out ProxyDestination to, out _, out int n);
            if (result == WireResult.Complete) Judge(to, n, b);
            return result != WireResult.Malformed && b.Length > 0;
        });
        ParserFuzz.Run("SOCKS5 UDP", Rounds, [[0, 0, 0, .. V4, 1, 2], [0, 0, 0, .. V6], [0, 0, 0, .. Name, 3]], Small, static b =>
        {
            if (!Socks5Wire.TryReadUdp(b, out ProxyDestination to, out ReadOnlySpan<byte> payload)) return b.Length > 3 && b[0] == 0 && b[1] == 0 && b[2] == 0;
            Judge(to, b.Length - payload.Length, b);
            return true;
        });
    }

    [Fact]
    public void Stream_headers_replies_and_UDP_records()
    {
        ParserFuzz.Run("stream header", Rounds, [[1, .. V4], [1, .. V6], [1, .. Name], [2]], Small, static b =>
        {
            WireResult result = ProxyWire.ReadStreamHeader(b, out StreamKind kind, out ProxyDestination to, out int n);
            if (result == WireResult.Complete && kind == StreamKind.Connect) Judge(to, n, b);
            if (result == WireResult.Incomplete && b.Length >= ProxyWire.MaxHeaderBytes) throw new InvalidDataException("incomplete for ever");
            return result != WireResult.Malformed && b.Length > 0;
        });
        ParserFuzz.Run("reply", Rounds, [[0, .. V4], [10, .. V6]], Small, static b =>
        {
            WireResult result = ProxyWire.ReadReply(b, out _, out ProxyDestination bound, out int n);
            if (result == WireResult.Complete) Judge(bound, n, b);
            return result != WireResult.Malformed && b.Length > 0;
        });
        ParserFuzz.Run("UDP record", Rounds, [[0, 1, .. V4, 1, 2, 3], [0, 2, .. V6], [255, 255, .. Name, 9]], Small, static b =>
        {
            if (!ProxyWire.TryReadRecord(b, out _, out ProxyDestination to, out ReadOnlySpan<byte> payload)) return b.Length > 2 && b[2] is 1 or 3 or 4;
            Judge(to, b.Length - payload.Length, b);
            return true;
        });
        ParserFuzz.Run("request head", Rounds, [[4, .. "ping"u8, 0, 0, 0, 5], [1, .. "a"u8, 255, 255, 255, 255], [64, .. Encoding.ASCII.GetBytes(new string('z', 64)), 0, 0, 0, 0]], 0, static b =>
        {
            WireResult result = RequestFraming.ReadRequestHead(b, out ReadOnlySpan<byte> method, out _, out int n);
            if (result == WireResult.Complete && (!RequestFraming.IsMethod(method) || n > b.Length)) throw new InvalidDataException("taken too much");
            if (result == WireResult.Incomplete && b.Length >= RequestFraming.MaxRequestHeadBytes) throw new InvalidDataException("incomplete for ever");
            return result != WireResult.Malformed && b.Length > 0;
        });
        ParserFuzz.Run("response head", Rounds, [[0, 0, 0, 0, 5], [1, 255, 255, 255, 255]], 0, static b => RequestFraming.ReadResponseHead(b, out _, out _) != WireResult.Malformed && b.Length > 0);
    }

    [Fact]
    public void Http_heads_and_bodies()
    {
        byte[][] requests =
        [
            .. new[]
            {
                "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\n\r\n",
                "CONNECT example.org:443 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r\n",
                "POST http://[::1]:80/a?b#c HTTP/1.0\r\nContent-Length: 12\r\nConnection: x, y\r\nX: 1\r\n\r\n",
                "PUT http://a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            }.Select(Encoding.ASCII.GetBytes),
        ];
        const string Letters = "\r\n\r\n: GETHOSTconectlngh/1.0[],;#?%\t";
        ParserFuzz.Run("HTTP request", Rounds, requests, 64 * 1024, static b =>
        {
            HttpRefusal refusal = HttpHead.TryParseRequest(b, out HttpHead? request);
            if (refusal.IsNone != request is not null) throw new InvalidDataException("neither or both");
            if (request is null) return b.EndsWith("\r\n\r\n"u8);
            request.RemoveHopFields();
            byte[] again = request.Format(request.First, request.Second, request.Third);
            if (!HttpHead.TryParseRequest(again, out _).IsNone) throw new InvalidDataException("what it writes it does not read");
            return true;
        }, Letters);
        ParserFuzz.Run("HTTP response", Rounds, [.. new[] { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HTTP/1.0 404 \r\nA: b\r\n\r\n", "HTTP/1.1 101\r\n\r\n" }.Select(Encoding.ASCII.GetBytes)], 64 * 1024,
            static b => HttpHead.TryParseResponse(b, out _, out _) || b.EndsWith("\r\n\r\n"u8), Letters);
        ParserFuzz.Run("HTTP chunks", Rounds, [.. new[] { "5\r\nhello\r\n0\r\n\r\n", "a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n", "0\r\n\r\n" }.Select(Encoding.ASCII.GetBytes)], 0, static b =>
        {
            var body = new HttpBody(HttpBodyKind.Chunked, 0);
            int whole = body.Take(b);
            var bytewise = new HttpBody(HttpBodyKind.Chunked, 0);
            int single = 0;
            while (single < b.Length && bytewise.Take(b.Slice(single, 1)) == 1) single++;
            if (whole != single || body.IsDone != bytewise.IsDone || body.IsBroken != bytewise.IsBroken) throw new InvalidDataException("cutting changes the end");
            return whole > 0;
        }, "\r\n0159aF;:x ");
    }

    [Fact]
    public void Hosts_as_people_write_them()
    {
        ParserFuzz.Run("host", Rounds, [.. new[] { "example.org", "1.2.3.4", "[2001:db8::1]", "::ffff:1.2.3.4", "xn--bcher-kva.example", "a_b.c-d.", "0x7f.0.0.1" + ".org" }.Select(Encoding.ASCII.GetBytes)], Small, static b =>
        {
            Span<char> text = stackalloc char[b.Length];
            Encoding.Latin1.GetChars(b, text);
            if (!ProxyDestination.TryFromHost(text, 80, out ProxyDestination to)) return false;
            Judge(to, 0, b);

            // Nothing that is taken for a name may be an address for a resolver.
            if (to.IsName && System.Net.IPAddress.TryParse(to.Name, out _)) throw new InvalidDataException($"{to.Name} is a number in disguise");
            return true;
        }, "0123456789abcdefx.:-[]_%");
    }

    [Fact]
    public void Exit_rules()
    {
        ParserFuzz.Run("exit rule", Rounds, [.. new[] { "deny 10.0.0.0/8:*", "allow *:80,443 tcp", "deny [fc00::/7]:*", "allow *:8000-8999", "allow [::1]:53 udp", "deny 1.2.3.4:1-2,3" }.Select(Encoding.ASCII.GetBytes)], 16 * 1024, static b =>
        {
            string text = Encoding.Latin1.GetString(b);
            bool taken = ExitRule.TryParse(text, out ExitRule? rule, out RuleError error);
            if (taken != rule is not null) throw new InvalidDataException("neither or both");
            if (taken)
            {
                if (ExitRule.Parse(rule!.ToString()).ToString() != rule.ToString()) throw new InvalidDataException("what it writes it does not read");
                return true;
            }

            if (string.IsNullOrEmpty(error.Message) || error.Position < 0 || error.Position > text.Length) throw new InvalidDataException($"an error without a place: {error}");
            return error.Position > 0;
        }, "allowdeny 0123456789.:/*,-[]tcpudp");
    }

    [Fact]
    public void Configuration_files()
    {
        const string Key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        byte[][] files =
        [
            .. new[]
            {
                $"[router]\nroles = [\"client\"]\nidentity = \"identity.key\"\ncontacts = \"contacts.oxcl\"\ncontacts_key = \"{Key}\"\n",
                $"[router]\nroles = [\"relay\", \"exit\"]\nidentity = \"i\"\ncontacts = \"c\"\ncontacts_key = \"{Key}\"\nlisten = \"127.0.0.1:5\"\n[exit]\nrules = [\"allow *:80\", \"deny *:*\"]\n[relay]\nrate = \"100 Mbit\"\n[log]\nlevel = \"debug\"\n",
                $"[client]\nhops = 4\nsocks = \"off\"\nusers = [\"a:b\"] # c\n[router]\nroles = [\"client\"]\nidentity = '''i'''\ncontacts = \"\\u0041\"\ncontacts_key = \"{Key}\"\n",
            }.Select(Encoding.UTF8.GetBytes),
        ];
        int good = 0;
        ParserFuzz.Run("configuration", 100_000, files, 2 << 20, b =>
        {
            RouterConfig? config = ConfigReader.Read(Encoding.UTF8.GetString(b), "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
            if (config is null == (diagnostics.Count == 0)) throw new InvalidDataException("neither or both");
            if (config is not null) good++;
            foreach (ConfigDiagnostic d in diagnostics)
            {
                if (d.Line < 1 || d.Column < 1 || d.Message.Length == 0) throw new InvalidDataException($"an error without a place: {d}");
            }

            return config is not null || diagnostics.Any(d => d.Code != ConfigDiagnostic.Syntax);
        }, "abcdefghiklmnoprstuxy0123456789.:/-_ []=\"#,\n");
        Assert.True(good > 100);
    }

    private static void Judge(in ProxyDestination to, int consumed, ReadOnlySpan<byte> from)
    {
        if (to.IsNone || consumed > from.Length) throw new InvalidDataException("a destination of nothing");
        if (to.IsName && (to.Name.Length is 0 or > ProxyDestination.MaxNameBytes || !Ascii.IsValid(to.Name))) throw new InvalidDataException("no host name");
        Span<byte> bytes = stackalloc byte[ProxyWire.MaxDestinationBytes];
        int length = ProxyWire.WriteDestination(to, bytes);
        if (ProxyWire.ReadDestination(bytes[..length], out ProxyDestination again, out _) != WireResult.Complete || again != to) throw new InvalidDataException("what it writes it does not read");
    }
}
