using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Swarm;
using Oxen.Swarm.Clients;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen swarm`: messages that wait in a swarm until their recipient fetches them. docs/swarm.md</summary>
internal sealed class SwarmCommands(Screen screen)
{
    private const int MaxShownBytes = 2000;

    public Command Build()
    {
        var node = new SwarmNodeCommands(screen);
        return new Command("swarm", "Messages that wait until their recipient fetches them: store, retrieve, delete; see and repair a storage node.") { Store(), Retrieve(), Delete(), node.Status(), node.Repair() };
    }

    private Command Store()
    {
        Option<string?> config = SwarmConnection.Config(), node = SwarmConnection.Node();
        Option<bool> direct = SwarmConnection.Direct(), json = CommandTree.Json();
        Option<short> space = SwarmConnection.Space();
        var to = new Option<string?>("--to") { Description = "Whose message it is: an account, 66 hexadecimal digits.", HelpName = "ACCOUNT" };
        var account = new Option<string?>("--account") { Description = "Or one's own account, its key file: needed for namespaces that only their owner writes to.", HelpName = "FILE" };
        var text = new Option<string?>("--text") { Description = "The message. It is stored as it is: encrypt what nobody else may read.", HelpName = "TEXT" };
        var file = new Option<string?>("--file") { Description = "Or a file with it; - is standard input.", HelpName = "FILE" };
        var ttl = new Option<string>("--keep") { Description = "How long, 10 s to 14 d (other namespaces than multiples of 10: 30 d).", HelpName = "TIME", DefaultValueFactory = _ => "14 d" };
        var command = new Command("store", "Store a message; done when more than half of the swarm has it on disk.") { to, account, text, file, ttl, space, config, direct, node, json };
        command.SetAction(async (parsed, cancel) =>
        {
            if ((parsed.GetValue(to) is null) == (parsed.GetValue(account) is null)) throw SwarmConnection.Misuse("whose message is it?", "--to ACCOUNT, or --account FILE for one's own.");
            if ((parsed.GetValue(text) is null) == (parsed.GetValue(file) is null)) throw SwarmConnection.Misuse("which message?", "--text TEXT, or --file FILE.");
            TimeSpan keep = Lifetime(parsed.GetRequiredValue(ttl));
            byte[] data = parsed.GetValue(text) is { } words ? Encoding.UTF8.GetBytes(words) : await ReadAsync(parsed.GetValue(file)!, cancel).ConfigureAwait(false);
            using SwarmAccount? own = parsed.GetValue(account) is { } key ? SwarmConnection.LoadAccount(key) : null;
            AccountId whose = own?.Id ?? SwarmConnection.ParseAccount(parsed.GetValue(to)!);
            await using SwarmConnection connection = await SwarmConnection.OpenAsync(parsed.GetValue(config), parsed.GetValue(node), parsed.GetValue(direct), cancel).ConfigureAwait(false);
            SwarmStored stored = await connection.RunAsync(c => c.StoreAsync(whose, data, keep, parsed.GetValue(space), own, cancel)).ConfigureAwait(false);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("hash", stored.Hash);
                    w.WriteString("account", whose.ToHex());
                    w.WriteNumber("namespace", parsed.GetValue(space));
                    w.WriteNumber("expiry", stored.Expiry);
                    w.WriteNumber("kept", stored.Kept);
                    w.WriteNumber("members", stored.Members);
                    w.WriteString("way", connection.Way);
                });
            }
            else
            {
                screen.Facts("stored", [("hash", stored.Hash), ("account", whose.ToHex()), ("kept until", Time(stored.Expiry)), ("members that have it", $"{stored.Kept} of {stored.Members}"), ("asked by", connection.Way)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Retrieve()
    {
        Option<string?> config = SwarmConnection.Config(), node = SwarmConnection.Node();
        Option<bool> direct = SwarmConnection.Direct(), json = CommandTree.Json();
        Option<string> account = SwarmConnection.Account();
        Option<short> space = SwarmConnection.Space();
        var last = new Option<string?>("--last") { Description = "Only what came after this message.", HelpName = "HASH" };
        var limit = new Option<int>("--limit") { Description = "At most so many.", HelpName = "N", DefaultValueFactory = _ => 1000 };
        limit.Validators.Add(r => { if (r.Tokens.Count == 1 && r.GetValueOrDefault<int>() < 1) r.AddError("--limit expects a number above 0"); });
        var to = new Option<string?>("--out") { Description = "Write each message into a file of this directory, named by its hash with - for / and _ for +.", HelpName = "DIR" };
        var command = new Command("retrieve", "Fetch one's messages. They stay until they expire or are deleted.") { account, space, last, limit, to, config, direct, node, json };
        command.SetAction(async (parsed, cancel) =>
        {
            using SwarmAccount own = SwarmConnection.LoadAccount(parsed.GetRequiredValue(account));
            await using SwarmConnection connection = await SwarmConnection.OpenAsync(parsed.GetValue(config), parsed.GetValue(node), parsed.GetValue(direct), cancel).ConfigureAwait(false);
            IReadOnlyList<SwarmMessage> messages = await connection.RunAsync(c => c.RetrieveAsync(own, parsed.GetValue(space), parsed.GetValue(last), parsed.GetValue(limit), cancel)).ConfigureAwait(false);
            if (parsed.GetValue(to) is { } folder) await WriteAsync(folder, messages, cancel).ConfigureAwait(false);
            if (parsed.GetValue(json)) WriteJson(own.Id, messages, connection.Way);
            else Write(own.Id, messages);
            return ExitCode.Ok;
        });
        return command;
    }

    // To a terminal, or line by line; who has nothing is told so.
    private void Write(AccountId account, IReadOnlyList<SwarmMessage> messages)
    {
        screen.Facts("messages", [("account", account.ToHex()), ("messages", Number(messages.Count))]);
        if (messages.Count > 0) screen.Table(["hash", "stored", "kept until", "bytes", "message"], messages.Select(m => (IReadOnlyList<string>)[m.Hash, Time(m.Timestamp), Time(m.Expiry), Number(m.Data.Length), Shown(m.Data.Span)]));
    }

    private Command Delete()
    {
        Option<string?> config = SwarmConnection.Config(), node = SwarmConnection.Node();
        Option<bool> direct = SwarmConnection.Direct(), json = CommandTree.Json();
        Option<string> account = SwarmConnection.Account();
        Option<short> space = SwarmConnection.Space();
        var hashes = new Argument<string[]>("hashes") { Description = "The messages' hashes.", HelpName = "HASH...", Arity = ArgumentArity.ZeroOrMore };
        var all = new Option<bool>("--all") { Description = "All messages of the namespace." };
        var command = new Command("delete", "Delete one's messages everywhere in the swarm. Exits 1 if there was nothing to delete.") { hashes, account, all, space, config, direct, node, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string[] names = parsed.GetValue(hashes) ?? [];
            if (names.Length > 0 == parsed.GetValue(all)) throw SwarmConnection.Misuse("what is to be deleted?", "Hashes of messages, or --all.");
            using SwarmAccount own = SwarmConnection.LoadAccount(parsed.GetRequiredValue(account));
            await using SwarmConnection connection = await SwarmConnection.OpenAsync(parsed.GetValue(config), parsed.GetValue(node), parsed.GetValue(direct), cancel).ConfigureAwait(false);
            IReadOnlyCollection<string> gone = await connection.RunAsync(c => parsed.GetValue(all) ? c.DeleteAllAsync(own, parsed.GetValue(space), cancel) : c.DeleteAsync(own, names, cancel)).ConfigureAwait(false);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteStartArray("deleted");
                    foreach (string hash in gone) w.WriteStringValue(hash);
                    w.WriteEndArray();
                    w.WriteString("way", connection.Way);
                });
            }
            else
            {
                screen.Table(["deleted"], gone.Select(h => (IReadOnlyList<string>)[h]));
            }

            return gone.Count > 0 ? ExitCode.Ok : ExitCode.CheckFailed;
        });
        return command;
    }

    private void WriteJson(AccountId account, IReadOnlyList<SwarmMessage> messages, string way) => screen.Json(w =>
    {
        w.WriteString("account", account.ToHex());
        w.WriteString("way", way);
        w.WriteStartArray("messages");
        foreach (SwarmMessage message in messages)
        {
            w.WriteStartObject();
            w.WriteString("hash", message.Hash);
            w.WriteNumber("timestamp", message.Timestamp);
            w.WriteNumber("expiry", message.Expiry);
            w.WriteBase64String("data", message.Data.Span);
            if (IsText(message.Data.Span)) w.WriteString("text", Encoding.UTF8.GetString(message.Data.Span));
            w.WriteEndObject();
        }

        w.WriteEndArray();
    });

    private static async Task WriteAsync(string folder, IReadOnlyList<SwarmMessage> messages, CancellationToken cancel)
    {
        try
        {
            Directory.CreateDirectory(folder);
            foreach (SwarmMessage message in messages) await File.WriteAllBytesAsync(Path.Combine(folder, message.Hash.Replace('/', '-').Replace('+', '_')), message.Data, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(folder, e.Message, e);
        }
    }

    private static async Task<byte[]> ReadAsync(string file, CancellationToken cancel)
    {
        try
        {
            await using Stream source = file == "-" ? Console.OpenStandardInput() : File.OpenRead(file);
            byte[] buffer = new byte[StoreLimits.MaxDataBytes + 1];
            int length = await source.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
            if (length == buffer.Length) throw SwarmConnection.Misuse($"the message is longer than {StoreLimits.MaxDataBytes} bytes", "Attachments go to a file server, and their link into the message.");
            return buffer[..length];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(file, e.Message, e);
        }
    }

    private static TimeSpan Lifetime(string text)
    {
        string trimmed = text.Trim();
        if (trimmed.EndsWith('d') && double.TryParse(trimmed[..^1].Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double days) && days <= 30) return TimeSpan.FromDays(days);
        return Units.TryTime(trimmed, out TimeSpan time) ? time : throw SwarmConnection.Misuse($"--keep {text} is no time", "Such as \"14 d\", \"12 h\", \"30 min\", \"60 s\".");
    }

    private static bool IsText(ReadOnlySpan<byte> data)
    {
        if (!System.Text.Unicode.Utf8.IsValid(data)) return false;
        foreach (byte b in data) if (b is < 0x20 and not (byte)'\n' and not (byte)'\t' and not (byte)'\r' or 0x7F) return false;
        return true;
    }

    // What a stranger sent must not steer the terminal.
    private static string Shown(ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<byte> head = data[..Math.Min(data.Length, MaxShownBytes)];
        string text = IsText(head) ? new string([.. Encoding.UTF8.GetString(head).Where(c => !char.IsControl(c) || c == '\n')]) : Convert.ToBase64String(head);
        return data.Length > MaxShownBytes ? text + "…" : text;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    internal static string Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, 0, 253_402_300_799_000)).ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
