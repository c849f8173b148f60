using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Sessions;

/// <summary>The session thread's <see cref="RecordAssembler"/>, with memory of its own that is taken when the first fragment comes: most routers never see one.</summary>
internal sealed class SessionFragments(int slots, DropCounters drops) : IDisposable
{
    private PinnedBlock? _slab;
    private RecordAssembler? _assembler;

    /// <summary>Takes the bytes of a record of type 5. True: the record is whole and may be used, and written to, until the next call.</summary>
    public bool TryAdd(PathRef path, ReadOnlySpan<byte> bytes, Instant now, out RecordType type, out Span<byte> record)
    {
        _slab ??= new PinnedBlock(slots * RecordAssembler.SlotBytes);
        _assembler ??= new RecordAssembler(_slab, 0, slots, drops);
        _assembler.Release();
        bool whole = _assembler.TryAdd(path, bytes, now, out type, out int offset, out int length);
        record = _slab.Slice(offset, length);
        return whole;
    }

    /// <summary>Counts what has waited too long; <see cref="TryAdd"/> does so as well.</summary>
    public void Expire(Instant now) => _assembler?.Expire(now);

    public void Dispose() => _slab?.Dispose();
}
