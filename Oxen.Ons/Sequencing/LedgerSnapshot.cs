using System.Security.Cryptography;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Sequencing;

// The state after one block as a file, so that a start need not replay from the beginning:
//
//   "OXLS" | version 1 (1) | network 32 | height 8 | unix milliseconds 8 | block hash 32 | committee | next committee
//          | committees: count 4, each | entries: count 4, each a blob (its kind first) | SHA-256 of all before 32
//
// It is a cache and never believed by itself: the tree that its entries make must have the root of the header that the store has at
// that height. What stands beside the tree is made from it anew.

/// <summary>A state that was written down.</summary>
internal sealed record LedgerSnapshot(LedgerState State, IReadOnlyList<Committee> Committees)
{
    private const int MaxEntryBytes = 4096, MaxCommittees = 1 << 20;

    /// <summary>Whether this is the state that a stored header speaks of.</summary>
    public bool IsOf(BlockHeader header) => header.Height == State.Height && header.StateRoot == State.Root && header.Hash(State.Network) == State.BlockHash && header.Committee == State.Committee.Hash && header.NextCommittee == State.NextCommittee.Hash;

    /// <summary>Null if there is none, or it is damaged, or of another network: then everything is replayed.</summary>
    public static LedgerSnapshot? Read(string file, Genesis genesis)
    {
        try
        {
            if (!File.Exists(file)) return null;
            using var stream = new BufferedStream(File.OpenRead(file), 1 << 20);
            return Read(new HashedReader(stream), genesis);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>Replaces the file; whoever reads it finds the old or the new one, whole.</summary>
    public static void Write(string file, LedgerState state, IReadOnlyCollection<Committee> committees)
    {
        string fresh = file + ".new";
        using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20))
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var writer = new LedgerWriter(1 << 16);
            void Flush()
            {
                hash.AppendData(writer.Written);
                stream.Write(writer.Written);
                writer.Clear();
            }

            writer.Bytes("OXLS"u8).U8(1).Bytes(state.Network).U64(state.Height).U64(state.UnixMilliseconds).Bytes(state.BlockHash);
            state.Committee.Write(writer);
            state.NextCommittee.Write(writer);
            writer.U32((uint)committees.Count);
            foreach (Committee committee in committees) committee.Write(writer);
            writer.U32((uint)state.Tree.Count);
            var entryBytes = new LedgerWriter(1024);
            foreach ((_, LedgerEntry entry) in state.Tree.All())
            {
                entryBytes.Clear();
                entry.Write(entryBytes);
                writer.Blob(entryBytes.Written);
                if (writer.Length > 1 << 15) Flush();
            }

            Flush();
            stream.Write(hash.GetHashAndReset());
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, file, overwrite: true);
    }

    private static LedgerSnapshot? Read(HashedReader reader, Genesis genesis)
    {
        if (!reader.Bytes(4).AsSpan().SequenceEqual("OXLS"u8) || reader.Bytes(1)[0] != 1 || new Bytes32(reader.Bytes(32)) != genesis.Network) return null;
        ulong height = reader.U64(), time = reader.U64();
        var block = new Bytes32(reader.Bytes(32));
        Committee committee = reader.Committee(), next = reader.Committee();
        uint count = reader.U32();
        if (count > MaxCommittees) return null;
        var committees = new List<Committee>();
        for (uint i = 0; i < count; i++) committees.Add(reader.Committee());
        count = reader.U32();
        SparseTree tree = SparseTree.Empty;
        for (uint i = 0; i < count; i++)
        {
            LedgerEntry entry = LedgerEntries.Read(reader.Blob(MaxEntryBytes)) ?? throw new InvalidDataException("an entry is garbled");
            tree = tree.Set(LedgerEntries.KeyOf(entry), entry);
        }

        if (!reader.HashFollows() || tree.Count != count) return null;
        return LedgerState.Restore(genesis, height, time, block, committee, next, tree) is { } state ? new LedgerSnapshot(state, committees) : null;
    }

    /// <summary>Reads from a file and hashes on the way. Whatever is short is no snapshot.</summary>
    private sealed class HashedReader(Stream stream)
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public byte[] Bytes(int count)
        {
            byte[] bytes = new byte[count];
            stream.ReadExactly(bytes);
            _hash.AppendData(bytes);
            return bytes;
        }

        public uint U32() => BitConverter.ToUInt32(Bytes(4));

        public ulong U64() => BitConverter.ToUInt64(Bytes(8));

        public byte[] Blob(int most)
        {
            int length = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte next = Bytes(1)[0];
                length |= (next & 0x7F) << shift;
                if ((next & 0x80) == 0) break;
                if (shift > 14) throw new InvalidDataException("a length is too long");
            }

            return length <= most ? Bytes(length) : throw new InvalidDataException("an entry is too long");
        }

        public Committee Committee()
        {
            byte[] count = Bytes(1);
            if (count[0] > Proofs.Committee.MaxMembers) throw new InvalidDataException("a committee is too large");
            var read = new LedgerReader([.. count, .. Bytes(32 * count[0])]);
            return Proofs.Committee.Read(ref read) ?? throw new InvalidDataException("a committee is garbled");
        }

        public bool HashFollows()
        {
            byte[] expected = _hash.GetHashAndReset();
            byte[] found = new byte[expected.Length];
            stream.ReadExactly(found);
            return found.AsSpan().SequenceEqual(expected) && stream.ReadByte() < 0;
        }
    }
}
