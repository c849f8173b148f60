using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Onion.Kernels;
using Oxen.Router.Native.Sodium;
using Ours = Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Bench.Core;

/// <summary>The loops that both the quick mode and BenchmarkDotNet run, each over one body of the full class in place.</summary>
internal sealed class SymmetricSubjects : IDisposable
{
    public const int Bytes = OnionLayer.FullBodyBytes;

    private readonly byte[] _data = GC.AllocateArray<byte>(Bytes + 64, pinned: true);
    private readonly byte[] _key = new byte[32], _nonce = new byte[16], _associated = new byte[16], _tag = new byte[32];
    private readonly byte[] _gcm = new byte[AesGcm128.ExpandedBytes], _polyval = new byte[Polyval.ExpandedBytes], _layer = new byte[LayerKeys.ExpandedBytes];
    private readonly AesGcm _runtimeGcm;
    private readonly System.Security.Cryptography.ChaCha20Poly1305 _runtimeChaCha;
    private readonly LayerTweak _tweak = LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, 29_500_000);

    public SymmetricSubjects()
    {
        for (int i = 0; i < 32; i++) _key[i] = (byte)(i * 37 + 11);
        AesGcm128.Expand(_key.AsSpan(0, 16), _gcm);
        Polyval.Expand(_key.AsSpan(0, 16), _polyval);
        byte[] raw = new byte[LayerKeys.RawBytes];
        EpochChain.LayerKeys(_key, raw);
        LayerKeys.Expand(raw, _layer);
        _runtimeGcm = new AesGcm(_key.AsSpan(0, 16), 16);
        _runtimeChaCha = new System.Security.Cryptography.ChaCha20Poly1305(_key);
    }

    private Span<byte> Data => _data.AsSpan(0, Bytes);

    public void AegisSeal(int times)
    {
        for (int i = 0; i < times; i++) Aegis128L.Seal(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag.AsSpan(0, 16));
    }

    public void AegisSealOpen(int times)
    {
        for (int i = 0; i < times; i++)
        {
            Aegis128L.Seal(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag.AsSpan(0, 16));
            if (!Aegis128L.Open(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag.AsSpan(0, 16))) throw new InvalidOperationException("tag");
        }
    }

    public void SodiumAegisSeal(int times)
    {
        for (int i = 0; i < times; i++) SymmetricPeers.AegisSeal(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag);
    }

    public void SodiumAegisSealOpen(int times)
    {
        for (int i = 0; i < times; i++)
        {
            SymmetricPeers.AegisSeal(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag);
            if (!SymmetricPeers.AegisOpen(Data, _key.AsSpan(0, 16), _nonce, _associated, _tag)) throw new InvalidOperationException("tag");
        }
    }

    public void ChaCha20Xor(int times)
    {
        for (int i = 0; i < times; i++) ChaCha20.Xor(Data, _key, _nonce.AsSpan(0, 12), 1);
    }

    public void SodiumChaCha20Xor(int times)
    {
        for (int i = 0; i < times; i++) SymmetricPeers.ChaCha20Xor(Data, _key, _nonce.AsSpan(0, 12), 1);
    }

    public void ChaCha20Poly1305Seal(int times)
    {
        for (int i = 0; i < times; i++) Ours.ChaCha20Poly1305.Seal(Data, _key, _nonce.AsSpan(0, 12), _associated, _tag.AsSpan(0, 16));
    }

    public void RuntimeChaCha20Poly1305Seal(int times)
    {
        for (int i = 0; i < times; i++) _runtimeChaCha.Encrypt(_nonce.AsSpan(0, 12), Data, Data, _tag.AsSpan(0, 16), _associated);
    }

    public void Gcm128Seal(int times)
    {
        for (int i = 0; i < times; i++) AesGcm128.Seal(Data, _gcm, _nonce.AsSpan(0, 12), _associated, _tag.AsSpan(0, 16));
    }

    public void RuntimeGcm128Seal(int times)
    {
        for (int i = 0; i < times; i++) _runtimeGcm.Encrypt(_nonce.AsSpan(0, 12), Data, Data, _tag.AsSpan(0, 16), _associated);
    }

    public void PolyvalHash(int times)
    {
        for (int i = 0; i < times; i++) Polyval.Absorb(Data, _polyval, _tag.AsSpan(0, 16));
    }

    public void AesCtrXor(int times)
    {
        for (int i = 0; i < times; i++) AesCtr.Xor(Data, _gcm.AsSpan(0, AesBlock.Expanded128Bytes), _nonce);
    }

    public void LayerForward(int times)
    {
        for (int i = 0; i < times; i++) OnionLayer.Forward(Data, _layer, _tweak);
    }

    public void LayerInverse(int times)
    {
        for (int i = 0; i < times; i++) OnionLayer.Inverse(Data, _layer, _tweak);
    }

    public void Dispose()
    {
        _runtimeGcm.Dispose();
        _runtimeChaCha.Dispose();
    }
}
