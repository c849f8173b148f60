using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Apps;

// The backend's answer to `get_pro_revocations`, as it came, in a file that the operator keeps fresh:
//
//   {"status": 0, "result": {"ticket": N, "items": [{"gen_index_hash": 64 hex digits, ...}, ...]}}       or the result alone
//
// An item with "effective_unix_ts_ms" counts from then on, others at once. A list with an older ticket than the last is passed over.

/// <summary>Reads the list of revoked proofs again when its file has changed. One thread at a time.</summary>
internal sealed class ProRevocations(string file, ProProof proofs)
{
    private const int MaxBytes = 64 << 20;
    private DateTime _read;

    /// <summary>Why the file was not taken, in words; null: it was. The list that was read before stays in force.</summary>
    public string? Trouble { get; private set; }

    /// <summary>Looks at the file; true if it brought another list.</summary>
    public bool Look()
    {
        try
        {
            var info = new FileInfo(file);
            if (!info.Exists)
            {
                Trouble = $"the list of revoked proofs, {file}, does not exist: write the backend's answer to get_pro_revocations there";
                return false;
            }

            if (info.LastWriteTimeUtc == _read) return false;
            if (info.Length > MaxBytes || !JsonWire.TryRead(File.ReadAllBytes(file), out object? value) || Read(value) is not var (ticket, items))
            {
                Trouble = $"the list of revoked proofs, {file}, is no answer to get_pro_revocations; the last one that was read stays in force";
                return false;
            }

            _read = info.LastWriteTimeUtc;
            Trouble = null;
            return proofs.Update(ticket, items);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Trouble = $"the list of revoked proofs cannot be read: {e.Message}";
            return false;
        }
    }

    private static (long Ticket, List<(byte[] Generation, long EffectiveMs)> Items)? Read(object? value)
    {
        if (value is WireMap outer && outer.GetValueOrDefault("result") is WireMap inner) value = inner;
        if (value is not WireMap map || map.GetValueOrDefault("ticket") is not long ticket || map.GetValueOrDefault("items") is not List<object> list) return null;
        var items = new List<(byte[], long)>(list.Count);
        foreach (object item in list)
        {
            byte[] generation = new byte[32];
            if (item is not WireMap one || one.GetValueOrDefault("gen_index_hash") is not string { Length: 64 } hex || Convert.FromHexString(hex, generation, out _, out _) != System.Buffers.OperationStatus.Done) return null;
            items.Add((generation, one.GetValueOrDefault("effective_unix_ts_ms") as long? ?? 0));
        }

        return (ticket, items);
    }
}
