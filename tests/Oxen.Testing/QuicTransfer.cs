using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;

namespace Oxen.Testing;

/// <summary>Moves bytes over a <see cref="QuicPair"/>, the same number each way on one bidirectional stream, and compares digests.</summary>
internal sealed class QuicTransfer
{
    private readonly QuicPair _pair;
    private readonly byte[] _up;
    private readonly byte[] _down;
    private readonly byte[] _scratch = new byte[16 * 1024];
    private readonly IncrementalHash _upSeen = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash _downSeen = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private int _upSent, _downSent;
    private bool _upDone, _downDone;
    private QuicConnection? _client;
    private long _stream = -1;

    public QuicTransfer(QuicPair pair, int bytes, ulong seed)
    {
        _pair = pair;
        _up = new byte[bytes];
        _down = new byte[bytes];
        var random = new SeededEntropy(seed);
        random.FillPublic(_up.AsSpan(0, Math.Min(bytes, 4096)));
        random.FillPublic(_down.AsSpan(0, Math.Min(bytes, 4096)));
        for (int i = 4096; i < bytes; i++)
        {
            _up[i] = (byte)(_up[i - 4096] + 1 + (i >> 12));
            _down[i] = (byte)(_down[i - 4096] + 3 + (i >> 12));
        }

        pair.Client.OnEvent = OnClient;
        pair.Server.OnEvent = OnServer;
    }

    public bool Finished => _upDone && _downDone;

    public bool Failed { get; private set; }

    public QuicConnection Client => _client!;

    /// <summary>Connects, moves, and says whether all came through unchanged within the limit of virtual time.</summary>
    public bool Run(TimeSpan limit)
    {
        _client = _pair.Connect();
        _pair.Network.RunUntil(() => Finished || Failed, limit);
        return Finished && _upSeen.GetHashAndReset().AsSpan().SequenceEqual(SHA256.HashData(_up)) && _downSeen.GetHashAndReset().AsSpan().SequenceEqual(SHA256.HashData(_down));
    }

    private void OnClient(QuicEvent happened, Instant now)
    {
        switch (happened.Kind)
        {
            case QuicEventKind.Connected:
                happened.Connection.TryOpenStream(true, out _stream);
                Fill(happened.Connection, _stream, _up, ref _upSent);
                break;
            case QuicEventKind.StreamWritable:
                Fill(happened.Connection, happened.StreamId, _up, ref _upSent);
                break;
            case QuicEventKind.StreamReadable:
                Drain(happened.Connection, happened.StreamId, _downSeen, ref _downDone);
                break;
            case QuicEventKind.Closed:
                Failed = true;
                break;
        }
    }

    private void OnServer(QuicEvent happened, Instant now)
    {
        switch (happened.Kind)
        {
            case QuicEventKind.StreamOpened:
            case QuicEventKind.StreamWritable:
                Fill(happened.Connection, happened.StreamId, _down, ref _downSent);
                break;
            case QuicEventKind.StreamReadable:
                Drain(happened.Connection, happened.StreamId, _upSeen, ref _upDone);
                break;
            case QuicEventKind.Closed:
                Failed = true;
                break;
        }
    }

    private static void Fill(QuicConnection connection, long stream, byte[] from, ref int sent)
    {
        if (sent == from.Length) return;
        sent += connection.Write(stream, from.AsSpan(sent));
        if (sent == from.Length) connection.Finish(stream);
    }

    private void Drain(QuicConnection connection, long stream, IncrementalHash seen, ref bool done)
    {
        while (true)
        {
            int n = connection.Read(stream, _scratch, out bool finished);
            seen.AppendData(_scratch, 0, n);
            done |= finished;
            if (n == 0) return;
        }
    }
}
