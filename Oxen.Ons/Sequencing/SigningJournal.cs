using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

/// <summary>
/// Remembers the newest header that a member signed, in a file: two signatures at one height cost the stake, also across a restart,
/// a rollback and a store that tells different things. Not for two threads at once.
/// </summary>
internal sealed class SigningJournal
{
    private const int Bytes = 8 + Bytes32.Length;

    private readonly string? _file;
    private ulong _height;
    private Bytes32 _hash;

    /// <summary>`file` null: remembers for as long as the process lives.</summary>
    /// <exception cref="InvalidDataException">The file is no journal; who removes it must know that nothing is signed twice.</exception>
    public SigningJournal(string? file)
    {
        _file = file;
        if (file is null || !File.Exists(file)) return;
        byte[] bytes = File.ReadAllBytes(file);
        var reader = new LedgerReader(bytes);
        (_height, _hash) = (reader.U64(), reader.Bytes32());
        if (!reader.Done) throw new InvalidDataException($"{file} is no journal of signatures ({bytes.Length} bytes, {Bytes} expected)");
    }

    /// <summary>Whether this header may be signed; if so it is written down, durably, before the answer.</summary>
    /// <exception cref="IOException">It cannot be written down, so it must not be signed.</exception>
    public bool MaySign(ulong height, Bytes32 hash)
    {
        if (height < _height || (height == _height && hash != _hash)) return false;
        if (height == _height) return true;
        if (_file is { } file)
        {
            string fresh = file + ".new";
            using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write))
            {
                stream.Write(new LedgerWriter(Bytes).U64(height).Bytes(hash).Written);
                stream.Flush(flushToDisk: true);
            }

            File.Move(fresh, file, overwrite: true);
        }

        (_height, _hash) = (height, hash);
        return true;
    }
}
