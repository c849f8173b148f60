using System.Globalization;
using System.Security.Cryptography;
using Oxen.Swarm.Onion;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Apps;

/// <summary>What a file server keeps, and how long.</summary>
internal sealed record FileServerOptions
{
    /// <summary>Folder of the files; it exists.</summary>
    public required string Folder { get; init; }

    /// <summary>The longest file, for everybody.</summary>
    public int MaxBytes { get; init; } = 10_000_000;

    /// <summary>The longest file for holders of a proof.</summary>
    public int MaxProBytes { get; init; } = 100_000_000;

    /// <summary>The most bytes of all files together.</summary>
    public long MaxTotalBytes { get; init; } = 20L << 30;

    /// <summary>How long a file is kept if nothing else is asked for.</summary>
    public TimeSpan Life { get; init; } = TimeSpan.FromDays(21);

    /// <summary>The shortest and longest that may be asked for.</summary>
    public TimeSpan MinLife { get; init; } = TimeSpan.FromMinutes(1);

    public TimeSpan MaxLife { get; init; } = TimeSpan.FromDays(30);
}

// Attachments of messages, by onion requests of version 4. Files are encrypted by clients; the server knows their length.
//
//   POST /file               body; X-FS-TTL seconds      -> {"id","expires","uploaded","size"}     413, 507
//   GET  /file/ID            -> the bytes                   GET /file/ID/info -> {"size","uploaded","expires"}
//   POST /file/ID/extend     X-FS-TTL                    -> as info; only ever longer
//
// An id is url-safe base64 of BLAKE2b-33 of the bytes, salt "SessionFileSvr": the same bytes are one file. Its times stand in
// the name of the file: <id>.<uploaded ms>.<expires ms>, so that there is no second truth to keep in step. A file is written
// under another name, brought to the disk and renamed: after a crash it is there whole or not at all.

/// <summary>Keeps files in a folder. Any thread.</summary>
internal sealed class FileServer
{
    private const int IdBytes = 33, IdLength = 44;
    private readonly FileServerOptions _options;
    private readonly ProProof? _pro;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, Entry> _files = [];
    private readonly Lock _lock = new();
    private long _total;

    public FileServer(FileServerOptions options, ProProof? pro, TimeProvider time)
    {
        _options = options;
        _pro = pro;
        _time = time;
        foreach (string path in Directory.GetFiles(options.Folder))
        {
            string[] parts = Path.GetFileName(path).Split('.');
            if (parts.Length == 3 && parts[0].Length == IdLength && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out long uploaded) && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out long expires))
            {
                // After a crash between writing and removing an old name the longer life counts.
                if (_files.TryGetValue(parts[0], out Entry? old) && old.Expires >= expires) File.Delete(path);
                else
                {
                    if (old is not null) File.Delete(PathOf(parts[0], old));
                    _files[parts[0]] = new Entry(uploaded, expires, new FileInfo(path).Length);
                }
            }
            else if (parts[^1] == "part")
            {
                File.Delete(path);
            }
        }

        _total = _files.Values.Sum(f => f.Bytes);
    }

    private sealed record Entry(long Uploaded, long Expires, long Bytes);

    public int Count
    {
        get
        {
            lock (_lock) return _files.Count;
        }
    }

    /// <summary>Answers a request; null if its path is not ours.</summary>
    public async Task<ServerReply?> HandleAsync(ServerRequest request)
    {
        string[] path = request.Endpoint.Split('?')[0].Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path is not ["file", ..]) return null;
        return (request.Method.ToUpperInvariant(), path) switch
        {
            ("POST", ["file"]) => await UploadAsync(request).ConfigureAwait(false),
            ("GET", ["file", var id]) => await DownloadAsync(id).ConfigureAwait(false),
            ("GET", ["file", var id, "info"]) => Find(id) is { } found ? Describe(found, null) : ServerReply.Code(404),
            ("POST", ["file", var id, "extend"]) => Extend(id, request),
            _ => ServerReply.Code(404),
        };
    }

    /// <summary>Removes what has expired; how many went.</summary>
    public int Clean()
    {
        long now = Now;
        int count = 0;
        lock (_lock)
        {
            foreach ((string id, Entry entry) in _files.Where(f => f.Value.Expires <= now).ToArray())
            {
                Remove(id, entry);
                count++;
            }
        }

        return count;
    }

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private async Task<ServerReply> UploadAsync(ServerRequest request)
    {
        if (request.Body.Length == 0) return ServerReply.Code(400);
        if (request.Body.Length > Limit(request)) return ServerReply.Code(413);
        if (Life(request) is not { } life) return ServerReply.Code(400);
        string id = ToId(Blake2bParameters.Hash(request.Body, IdBytes, "SessionFileSvr"u8, []));
        long now = Now;
        var entry = new Entry(now, now + (long)life.TotalMilliseconds, request.Body.Length);
        lock (_lock)
        {
            if (_files.TryGetValue(id, out Entry? old) && old.Expires > now) return Describe(Prolong(id, old, entry.Expires), id);
            if (_total + entry.Bytes > _options.MaxTotalBytes) return ServerReply.Code(507);
            _total += entry.Bytes;
        }

        string part = Path.Combine(_options.Folder, $"{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}.part");
        try
        {
            await using (var file = new FileStream(part, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                await file.WriteAsync(request.Body).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }

            lock (_lock)
            {
                if (_files.Remove(id, out Entry? old))
                {
                    _total -= old.Bytes;
                    File.Delete(PathOf(id, old));
                }

                File.Move(part, PathOf(id, entry), overwrite: true);
                _files[id] = entry;
            }

            return Describe(entry, id);
        }
        catch (IOException)
        {
            lock (_lock) _total -= entry.Bytes;
            File.Delete(part);
            return ServerReply.Code(507); // the disk is full
        }
    }

    private async Task<ServerReply> DownloadAsync(string id)
    {
        if (Find(id) is not { } entry) return ServerReply.Code(404);
        try
        {
            byte[] bytes = await File.ReadAllBytesAsync(PathOf(id, entry)).ConfigureAwait(false);
            return new ServerReply(200, new Dictionary<string, string> { ["content-type"] = "application/octet-stream" }, bytes);
        }
        catch (FileNotFoundException)
        {
            return ServerReply.Code(404); // it expired or was prolonged this moment
        }
    }

    private ServerReply Extend(string id, ServerRequest request)
    {
        if (Life(request) is not { } life) return ServerReply.Code(400);
        lock (_lock)
        {
            return Find(id) is { } entry ? Describe(Prolong(id, entry, Now + (long)life.TotalMilliseconds), null) : ServerReply.Code(404);
        }
    }

    private Entry? Find(string id)
    {
        lock (_lock) return _files.TryGetValue(id, out Entry? entry) && entry.Expires > Now ? entry : null;
    }

    private Entry Prolong(string id, Entry entry, long expires)
    {
        if (expires <= entry.Expires) return entry;
        Entry longer = entry with { Expires = expires };
        File.Move(PathOf(id, entry), PathOf(id, longer));
        return _files[id] = longer;
    }

    private void Remove(string id, Entry entry)
    {
        _files.Remove(id);
        _total -= entry.Bytes;
        File.Delete(PathOf(id, entry));
    }

    // A proof and, under its rotating key, a signature of the file's hash: a proof that was seen elsewhere pays for nothing.
    private int Limit(ServerRequest request)
    {
        if (_pro is null || !request.Headers.TryGetValue("X-FS-Pro-Proof", out string? proofText) || !request.Headers.TryGetValue("X-FS-Pro-Signature", out string? signatureText)) return _options.MaxBytes;
        if (Api.ParamReader.FromBase64(proofText) is not { } proof || Api.ParamReader.FromBase64(signatureText) is not { Length: 64 } signature) return _options.MaxBytes;
        if (_pro.Check(proof, Now) != ProFault.None) return _options.MaxBytes;
        byte[] hash = NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(request.Body);
        return Api.Signatures.Verify(hash, signature, ProProof.RotatingKey(proof)) ? _options.MaxProBytes : _options.MaxBytes;
    }

    private TimeSpan? Life(ServerRequest request)
    {
        if (!request.Headers.TryGetValue("X-FS-TTL", out string? text)) return _options.Life;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds) || seconds > 1_000_000_000) return null;
        var life = TimeSpan.FromSeconds(seconds);
        return life < _options.MinLife ? _options.MinLife : life > _options.MaxLife ? _options.MaxLife : life;
    }

    private static ServerReply Describe(Entry entry, string? id)
    {
        var map = new WireMap { ["expires"] = entry.Expires / 1000.0, ["size"] = entry.Bytes, ["uploaded"] = entry.Uploaded / 1000.0 };
        if (id is not null) map["id"] = id;
        return ServerReply.Json(200, map);
    }

    private static string ToId(byte[] hash) => Convert.ToBase64String(hash).Replace('+', '-').Replace('/', '_');

    private string PathOf(string id, Entry entry) => Path.Combine(_options.Folder, $"{id}.{entry.Uploaded}.{entry.Expires}");
}
