using Oxen.Router.Core.Quic.Packets;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    /// <summary>Ids of ours that a peer holds at a time, whatever it would allow.</summary>
    private const int MaxLocalIds = 3;

    private struct LocalId
    {
        public ConnectionId Id;
        public long Sequence;
        public bool Used;
        public bool Due;       // NEW_CONNECTION_ID to be sent
    }

    private struct RemoteId
    {
        public ConnectionId Id;
        public long Sequence;
        public bool Used;
        public UInt128 ResetToken;
        public bool HasResetToken;
    }

    // Slot 0 of the remote ids is the one in use.
    private readonly LocalId[] _localIds = new LocalId[MaxLocalIds];
    private readonly RemoteId[] _remoteIds = new RemoteId[16];
    private readonly List<long> _retireDue = [];
    private long _nextLocalSequence;
    private long _retirePriorTo;
    private long _highestRemoteSequence;
    private int _retiresInFlight;
    private bool _remoteIdKnown;
    private bool _localIdsDue;

    internal bool HoldsResetToken(UInt128 token)
    {
        ref RemoteId current = ref _remoteIds[0];
        if (!current.HasResetToken) return false;
        Span<byte> a = stackalloc byte[16], b = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(a, token);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(b, current.ResetToken);
        return TokensEqual(a, b);
    }

    private void IssueFirstId() => _localIds[0] = new LocalId { Id = _endpoint.NewLocalId(this), Sequence = _nextLocalSequence++, Used = true };

    private void IssueSpareIds()
    {
        int limit = (int)Math.Min(_peer!.ActiveConnectionIdLimit, MaxLocalIds);
        for (int i = 0; i < limit; i++)
        {
            if (_localIds[i].Used) continue;
            _localIds[i] = new LocalId { Id = _endpoint.NewLocalId(this), Sequence = _nextLocalSequence++, Used = true, Due = true };
            _localIdsDue = true;
        }
    }

    /// <summary>The id that the peer chose for itself, out of its first packet. RFC 9000 section 7.2.</summary>
    private void LearnRemoteId(ConnectionId id)
    {
        _remoteIds[0].Id = id;
        _remoteIds[0].Sequence = 0;
        _remoteIds[0].Used = true;
        _remoteIdKnown = true;
    }

    private void SetFirstResetToken(ReadOnlySpan<byte> token)
    {
        _remoteIds[0].ResetToken = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(token);
        _remoteIds[0].HasResetToken = true;
        _endpoint.RegisterReset(this, _remoteIds[0].ResetToken);
    }

    private ulong OnNewConnectionId(ref ReadOnlySpan<byte> payload)
    {
        if (!Varint.TryRead(ref payload, out ulong sequence) || !Varint.TryRead(ref payload, out ulong retirePriorTo) || payload.IsEmpty) return QuicError.FrameEncoding;
        int length = payload[0];
        if (length is < 1 or > ConnectionId.MaxBytes || payload.Length < 1 + length + 16 || retirePriorTo > sequence) return QuicError.FrameEncoding;
        var id = new ConnectionId(payload.Slice(1, length));
        UInt128 token = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(payload[(1 + length)..]);
        payload = payload[(1 + length + 16)..];
        if (_remoteIds[0].Id.Length == 0) return QuicError.ProtocolViolation;

        _highestRemoteSequence = Math.Max(_highestRemoteSequence, (long)sequence);
        int free = -1;
        for (int i = 0; i < _remoteIds.Length; i++)
        {
            ref RemoteId slot = ref _remoteIds[i];
            if (!slot.Used)
            {
                if (free < 0) free = i;
                continue;
            }

            if (slot.Sequence == (long)sequence)
            {
                if (slot.Id != id || (slot.HasResetToken && slot.ResetToken != token)) return QuicError.ProtocolViolation;
                return QuicError.NoError;
            }

            if (slot.Id == id) return QuicError.ProtocolViolation;
        }

        if ((long)sequence < _retirePriorTo)
        {
            // Retired before it came. RFC 9000 section 19.15
            return Retire((long)sequence);
        }

        if (free < 0) return QuicError.ConnectionIdLimit;
        _remoteIds[free] = new RemoteId { Id = id, Sequence = (long)sequence, Used = true, ResetToken = token, HasResetToken = true };
        if ((long)retirePriorTo > _retirePriorTo)
        {
            _retirePriorTo = (long)retirePriorTo;
            for (int i = 1; i < _remoteIds.Length; i++)
            {
                ref RemoteId slot = ref _remoteIds[i];
                if (!slot.Used || slot.Sequence >= _retirePriorTo) continue;
                slot.Used = false;
                ulong error = Retire(slot.Sequence);
                if (error != 0) return error;
            }

            if (_remoteIds[0].Sequence < _retirePriorTo)
            {
                ulong error = SwitchRemoteId();
                if (error != 0) return error;
            }
        }

        int active = 0;
        foreach (ref RemoteId slot in _remoteIds.AsSpan()) active += slot.Used ? 1 : 0;
        return active > _options.ActiveConnectionIdLimit ? QuicError.ConnectionIdLimit : QuicError.NoError;
    }

    private ulong SwitchRemoteId()
    {
        for (int i = 1; i < _remoteIds.Length; i++)
        {
            if (!_remoteIds[i].Used) continue;
            if (_remoteIds[0].HasResetToken) _endpoint.ForgetReset(this, _remoteIds[0].ResetToken);
            ulong error = Retire(_remoteIds[0].Sequence);
            _remoteIds[0] = _remoteIds[i];
            _remoteIds[i].Used = false;
            _endpoint.RegisterReset(this, _remoteIds[0].ResetToken);
            return error;
        }

        return QuicError.ProtocolViolation;
    }

    /// <summary>Queues a RETIRE_CONNECTION_ID; a peer that makes us owe too many of them is at fault (CVE-2024-22189). RFC 9000 section 5.1.2.</summary>
    private ulong Retire(long sequence)
    {
        if (_retireDue.Contains(sequence)) return QuicError.NoError;
        if (_retireDue.Count + _retiresInFlight >= 2 * _options.ActiveConnectionIdLimit) return QuicError.ConnectionIdLimit;
        _retireDue.Add(sequence);
        return QuicError.NoError;
    }

    private ulong OnRetireConnectionId(ref ReadOnlySpan<byte> payload, ReadOnlySpan<byte> destination)
    {
        if (!Varint.TryRead(ref payload, out ulong sequence)) return QuicError.FrameEncoding;
        if ((long)sequence >= _nextLocalSequence) return QuicError.ProtocolViolation;
        for (int i = 0; i < _localIds.Length; i++)
        {
            ref LocalId slot = ref _localIds[i];
            if (!slot.Used || slot.Sequence != (long)sequence) continue;
            if (slot.Id.Matches(destination)) return QuicError.ProtocolViolation;   // RFC 9000 section 19.16
            _endpoint.ForgetLocalId(slot.Id);
            slot = default;
            IssueSpareIds();
            break;
        }

        return QuicError.NoError;
    }

    private void OnNewIdLost(long sequence)
    {
        foreach (ref LocalId slot in _localIds.AsSpan())
        {
            if (!slot.Used || slot.Sequence != sequence) continue;
            slot.Due = true;
            _localIdsDue = true;
        }
    }

    private void ForgetAllIds()
    {
        foreach (ref LocalId slot in _localIds.AsSpan())
        {
            if (slot.Used) _endpoint.ForgetLocalId(slot.Id);
            slot.Used = false;
        }

        if (_remoteIds[0].HasResetToken) _endpoint.ForgetReset(this, _remoteIds[0].ResetToken);
    }
}
