using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Oxen.Router.Core.Onion;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Layer keys of hops, expanded, two epochs at a time (an epoch's keys lie at place epoch % 2: previous and current in the
/// first 5 s, then current and next), and the chains that the next ones come from. The one owner of path secrets.
/// <code>
///   row:   upstream even | upstream odd | downstream even | downstream odd | chain up 32, chain down 32, chain's epoch 4, pad
///   block: epoch 4 (0: empty), pad 60 | expanded keys | pad to a cache line
/// </code>
/// A chain goes one way: deriving the keys of an epoch puts the next chain over it (docs/protocol/onion.md#epochs).
/// </summary>
internal sealed class HopKeySlab : IDisposable
{
    // A path lives for minutes; a machine that slept longer than this many epochs has no use for its keys.
    private const uint MaxCatchUp = 24 * 60;

    private const int KeysAt = 64; // vectors load whole lines
    private const int ChainEpochAt = 64;
    private static readonly int BlockBytes = (KeysAt + LayerKeys.ExpandedBytes + 63) / 64 * 64;
    private static readonly int ChainsAt = 4 * BlockBytes;
    private static readonly int RowBytes = ChainsAt + 128;

    private readonly SecretBlock _block;
    private readonly int _rows;

    public HopKeySlab(int rows)
    {
        _rows = rows;
        _block = new SecretBlock(checked(rows * RowBytes));
    }

    public static int BytesPerHop => RowBytes;

    public bool IsLocked => _block.IsLocked;

    /// <summary>Takes a hop's chains; the keys of `startEpoch` are the first that it can have.</summary>
    public void Put(int row, ReadOnlySpan<byte> chainUpstream, ReadOnlySpan<byte> chainDownstream, uint startEpoch)
    {
        Span<byte> all = Row(row);
        CryptographicOperations.ZeroMemory(all);
        chainUpstream[..32].CopyTo(all[ChainsAt..]);
        chainDownstream[..32].CopyTo(all[(ChainsAt + 32)..]);
        ChainEpoch(all) = startEpoch;
    }

    /// <summary>Expanded keys of one direction in one epoch, or empty: they are gone, or not yet to be had.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ReadOnlySpan<byte> Keys(int row, PathDirection direction, uint epoch)
    {
        Span<byte> block = _block.Slice(row * RowBytes + ((int)direction * 2 + (int)(epoch & 1)) * BlockBytes, BlockBytes);
        if (Unsafe.ReadUnaligned<uint>(ref MemoryMarshal.GetReference(block)) == epoch) return block.Slice(KeysAt, LayerKeys.ExpandedBytes);
        return Prepare(row, epoch) ? block.Slice(KeysAt, LayerKeys.ExpandedBytes) : default;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchKeys(int row, PathDirection direction, uint epoch)
        => Prefetch.Lines(ref MemoryMarshal.GetReference(_block.Slice(row * RowBytes + ((int)direction * 2 + (int)(epoch & 1)) * BlockBytes, BlockBytes)), BlockBytes / 64);

    /// <summary>Moves a hop's chains past `epoch` so that its keys stand in both directions. False when they cannot.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool Prepare(int row, uint epoch)
    {
        Span<byte> all = Row(row);
        ref uint chainEpoch = ref ChainEpoch(all);
        if (chainEpoch == 0 || epoch == 0) return false;
        if (epoch < chainEpoch) return EpochOf(all, 0, epoch) == epoch;
        if (epoch - chainEpoch > MaxCatchUp) return false;
        Span<byte> next = stackalloc byte[32];
        Span<byte> raw = stackalloc byte[LayerKeys.RawBytes];
        while (chainEpoch <= epoch)
        {
            for (int direction = 0; direction < 2; direction++)
            {
                Span<byte> chain = all.Slice(ChainsAt + direction * 32, 32);
                if (chainEpoch + 1 >= epoch)
                {
                    // Only the last two can still be of use.
                    Span<byte> block = all.Slice((direction * 2 + (int)(chainEpoch & 1)) * BlockBytes, BlockBytes);
                    EpochChain.LayerKeys(chain, raw);
                    LayerKeys.Expand(raw, block.Slice(KeysAt, LayerKeys.ExpandedBytes));
                    MemoryMarshal.Write(block, chainEpoch);
                }

                EpochChain.Next(chain, next);
                next.CopyTo(chain);
            }

            chainEpoch++;
        }

        CryptographicOperations.ZeroMemory(next);
        CryptographicOperations.ZeroMemory(raw);
        return true;
    }

    /// <summary>Wipes keys of epochs before `epoch`.</summary>
    public void WipeOlder(int row, uint epoch)
    {
        Span<byte> all = Row(row);
        for (int i = 0; i < 4; i++)
        {
            Span<byte> block = all.Slice(i * BlockBytes, BlockBytes);
            uint has = MemoryMarshal.Read<uint>(block);
            if (has != 0 && has < epoch) CryptographicOperations.ZeroMemory(block);
        }
    }

    /// <summary>The end of a hop.</summary>
    public void Wipe(int row) => CryptographicOperations.ZeroMemory(Row(row));

    public bool IsEmpty(int row) => ChainEpoch(Row(row)) == 0;

    /// <summary>Whether any byte of the row is set; for tests of wiping.</summary>
    public bool IsWiped(int row) => !Row(row).ContainsAnyExcept((byte)0);

    /// <summary>Whether keys of this epoch stand; for tests of wiping.</summary>
    public bool Has(int row, uint epoch) => EpochOf(Row(row), 0, epoch) == epoch;

    public int Rows => _rows;

    public void Dispose() => _block.Dispose();

    private static uint EpochOf(Span<byte> all, int direction, uint epoch) => MemoryMarshal.Read<uint>(all[((direction * 2 + (int)(epoch & 1)) * BlockBytes)..]);

    private static ref uint ChainEpoch(Span<byte> all) => ref MemoryMarshal.AsRef<uint>(all[(ChainsAt + ChainEpochAt)..]);

    private Span<byte> Row(int row) => _block.Slice(row * RowBytes, RowBytes);
}
